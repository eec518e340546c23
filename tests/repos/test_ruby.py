"""Ruby: each rule on a small repository, hostile texts."""

from tests.repos.small import answers, edges, graphed, survives

LANGS = {"rb": "ruby", "gemspec": "ruby"}


def test_beside_the_file():
    text = """
require_relative "b"
require_relative '../c.rb' if x
require File.expand_path('../d', __FILE__)
require File.join(__dir__, "sub", "e")
require File.dirname(__FILE__) + '/f'
require "#{__dir__}/g"
require_relative "gone"
require File.expand_path(File.join(File.dirname(__FILE__), '..', 'h'))
# require_relative "no"
load File.expand_path("i.rb", __dir__)
"""
    texts = dict.fromkeys(
        ["a/b.rb", "c.rb", "a/d.rb", "a/sub/e.rb", "a/f.rb", "a/g.rb", "h.rb", "a/i.rb", "a/no.rb"], ""
    )
    found = answers(texts | {"a/x.rb": text}, "a/x.rb", **LANGS)
    assert {target for targets in found.values() for target in targets or ()} == texts.keys() - {"a/no.rb"}
    assert [name for name, targets in found.items() if targets is None] == ["gone"]


def test_libraries():
    texts = {
        "lib/gem.rb": 'require "gem/version"\nrequire "json"\nrequire "gem/native"\nrequire("set")\n',
        "lib/gem/version.rb": "",
        "lib/gem/json.rb": "",  # not what `require "json"` means
        "engine/lib/gem/version.rb": "",
        "engine/lib/engine.rb": "module E\n  require 'gem/version'\n  autoload :V, 'gem'\n  autoload :Base\nend\n",
        "spec/x_spec.rb": 'require "spec_helper"\nrequire "gem"\nrequire "support/y"\n',
        "spec/spec_helper.rb": "",
        "spec/support/y.rb": "",
    }
    assert answers(texts, "lib/gem.rb", **LANGS) == {
        "gem/version": ["lib/gem/version.rb"],
        "json": [],
        "gem/native": None,
        "set": [],
    }
    assert edges(texts, **LANGS) == {
        "lib/gem.rb": ["lib/gem/version.rb"],
        "engine/lib/engine.rb": ["engine/lib/gem/version.rb", "lib/gem.rb"],
        "spec/x_spec.rb": ["lib/gem.rb", "spec/spec_helper.rb", "spec/support/y.rb"],
    }


def test_load_and_paths_from_the_working_folder():
    texts = {"bin/x.rb": 'load "tasks/a.rb"\nload "b.rb"\nrequire "./c"\nrequire "./gone"\n'}
    texts |= {"tasks/a.rb": "", "bin/b.rb": "", "c.rb": ""}
    assert answers(texts, "bin/x.rb", **LANGS) == {
        "tasks/a.rb": ["tasks/a.rb"],
        "b.rb": ["bin/b.rb"],
        "./c": ["c.rb"],
        "./gone": None,
    }


def test_computed_paths_are_counted():
    text = 'require name\nrequire_relative "a/#{b}"\nautoload :X\nobject.load "x"\n'
    text += 'load(File.read("x"))\nrequire File.join(x, "y")\n'
    assert +graphed({"x.rb": text}, **LANGS).counts == {"dynamic": 5}


SAMPLE = """require 'a/b'
require_relative "c#{x}"
autoload :Foo, File.expand_path('../x', __FILE__)
module A
  class B < C
    def f(x, *y, &z) = load(File.join(__dir__, 'z') + "a\\n")
    %w[a b].each { |v| puts v ? :x : /re/ }
  end
end
__END__
require "y"
"""


def test_hostile_texts():
    survives(SAMPLE, "lib/a/b.rb", "ruby")
    survives("require " + "File.dirname(" * 50 + "__FILE__" + ")" * 50 + "\n", "lib/a/b.rb", "ruby")

"""PHP, its command line. Warnings go to standard error, assertions throw.

Between an answer and its tests plain data crosses: numbers, strings, arrays with their keys, and stdClass.
"""

from smallcoder.sandbox.languages import Apart, Language, Plan

_RUN = (
    "php", "-d", "display_errors=stderr", "-d", "zend.assertions=1", "-d", "assert.exception=1",
    "-d", "memory_limit=512M",
)  # fmt: skip
_APART = rb"""<?php
namespace apart;
const MOST = 64 << 20, DEEP = 100;
function pairs($items, $depth) {
    $said = [];
    foreach ($items as $key => $item) { $said[] = [pack_($key, $depth), pack_($item, $depth)]; }
    return $said;
}
function pack_($value, $depth = 0) {
    if ($depth > DEEP) { throw new \TypeError('nested too deeply'); }
    if (is_null($value) || is_bool($value) || is_int($value)) { return $value; }
    if (is_string($value)) { return ['s' => base64_encode($value)]; }
    if (is_float($value)) { return ['f' => bin2hex(pack('E', $value))]; }
    if (is_array($value)) { return ['a' => pairs($value, $depth + 1)]; }
    if (is_object($value) && get_class($value) === 'stdClass') { return ['o' => pairs((array) $value, $depth + 1)]; }
    throw new \TypeError('not plain data: ' . get_debug_type($value));
}
function unpack_($said) {
    if (!is_object($said)) { return $said; }
    foreach ($said as $kind => $value) {
        if ($kind === 's') { return base64_decode($value); }
        if ($kind === 'f') { return unpack('E', hex2bin($value))[1]; }
        $items = [];
        foreach ($value as [$key, $item]) { $items[unpack_($key)] = unpack_($item); }
        if ($kind === 'a' || $kind === 'o') { return $kind === 'a' ? $items : (object) $items; }
    }
    throw new \TypeError('malformed');
}
function pipe($number) {
    static $pipes = [];
    return $pipes[$number] ??= fopen("php://fd/$number", $number === 3 ? 'rb' : 'wb');
}
function take($count) {
    $data = '';
    while (strlen($data) < $count) {
        $block = fread(pipe(3), $count - strlen($data));
        if ($block === false || $block === '') { throw new \TypeError('no answer'); }
        $data .= $block;
    }
    return $data;
}
function hear() {
    $size = unpack('V', take(4))[1];
    if ($size > MOST) { throw new \TypeError('too large'); }
    return json_decode(take($size), false, 4 * DEEP, JSON_THROW_ON_ERROR);
}
function say($value) {
    $text = json_encode($value, JSON_THROW_ON_ERROR, 4 * DEEP);
    $data = pack('V', strlen($text)) . $text;
    while ($data !== '') {
        $count = @fwrite(pipe(4), $data);
        if (!$count) { throw new \TypeError('no one listens'); }
        $data = substr($data, $count);
    }
}
function remote($name, ...$values) {
    $asked = [$name, array_map('apart\pack_', array_values($values))];
    try {
        say($asked);
        [$kind, $said] = hear();
        if ($kind === 'value') { return unpack_($said); }
    } catch (\Throwable $error) {
        $kind = $error->getMessage();
    }
    if ($kind === 'error' && is_string($said)) { throw new \RuntimeException(base64_decode($said)); }
    fwrite(STDERR, 'the program ended, or does not keep to the protocol');
    exit(1);
}
function serve() {
    for (;;) {
        try {
            [$name, $values] = hear();
        } catch (\Throwable $error) {
            exit(0);
        }
        try {
            $values = array_map('apart\unpack_', $values);
            $said = ['value', pack_($name(...$values))];
        } catch (\Throwable $error) {
            $said = ['error', base64_encode(substr(get_class($error) . ': ' . $error->getMessage(), 0, 300))];
        }
        say($said);
    }
}
"""
LANGUAGE = Language(
    "php",
    (".php",),
    {"php": "php-cli"},
    lambda code: Plan("main.php", (*_RUN, "main.php")),
    reads=("/etc/php", "/var/lib/php/modules"),
    apart=Apart(
        (*_RUN, "-d", "auto_prepend_file=apart.php", "main.php"),
        {"apart.php": _APART},
        ("", "\n\\apart\\serve();\n"),
        ("<?php\nuse function apart\\remote;\n", "\nfwrite(STDOUT, getenv('MARK'));\n"),
    ),
)

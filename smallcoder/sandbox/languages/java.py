"""Java by a JDK of 11 or newer, assertions on. The file is named as its public class; the class with `main` runs."""

import re

from smallcoder.sandbox.languages import Language, Plan, Server

_KIND = r"(?:class|record|interface|enum)"
_NAME = r"(\w{1,60})\b"  # longer ones make file names that no file system takes: javac refuses them
_PUBLIC = re.compile(rf"(?:^|[;}}])\s*public\s+(?:(?:final|abstract|sealed|strictfp)\s+)*{_KIND}\s+{_NAME}", re.M)
_OUTER = re.compile(r"(?:^|[;}]\s*)(?:\w+\s+)*class\s+" + _NAME, re.M)
_PACKAGE = re.compile(r"(?:\s|//[^\n]*\n|/\*.*?\*/)*+package\s+((?:\w{1,60}\s*\.\s*){0,20}\w{1,60})\s*;", re.S)
_MAIN = re.compile(r"\bstatic\s+void\s+main\s*\(")
_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:ActiveProcessorCount=2", "-Xss16m")


_SERVER = rb"""
import java.io.*;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.*;
import javax.tools.*;

public class Server {
    static class Source extends SimpleJavaFileObject {
        final String text;
        Source(String name, String text) { super(URI.create("string:///" + name), Kind.SOURCE); this.text = text; }
        public CharSequence getCharContent(boolean ignore) { return text; }
    }
    static class Made extends SimpleJavaFileObject {
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Made(String name) { super(URI.create("mem:///" + name.replace('.', '/') + ".class"), Kind.CLASS); }
        public OutputStream openOutputStream() { return bytes; }
    }
    static byte[] take(DataInputStream in) throws IOException {
        byte[] data = new byte[in.readInt()];
        in.readFully(data);
        return data;
    }
    static void give(DataOutputStream out, byte[] data) throws IOException {
        out.writeInt(data.length);
        out.write(data);
    }
    public static void main(String[] words) throws Exception {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StandardJavaFileManager standard = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8);
        standard.setLocation(StandardLocation.CLASS_PATH, List.of());
        while (true) {
            String name = new String(take(in), StandardCharsets.UTF_8);
            String text = new String(take(in), StandardCharsets.UTF_8);
            StringWriter said = new StringWriter();
            Map<String, Made> made = new TreeMap<>();
            JavaFileManager files = new ForwardingJavaFileManager<>(standard) {
                public JavaFileObject getJavaFileForOutput(Location l, String n, JavaFileObject.Kind k, FileObject s) {
                    return made.computeIfAbsent(n, Made::new);
                }
            };
            boolean good = false;
            try {
                List<String> options = List.of("-proc:none", "-nowarn", "-Xlint:none");
                good = compiler.getTask(said, files, null, options, null, List.of(new Source(name, text))).call();
            } catch (Throwable error) {
                said.append(error.toString());
            }
            give(out, said.toString().getBytes(StandardCharsets.UTF_8));
            out.writeInt(good ? made.size() : 0);
            for (Map.Entry<String, Made> one : good ? made.entrySet() : Set.<Map.Entry<String, Made>>of()) {
                give(out, (one.getKey().replace('.', '/') + ".class").getBytes(StandardCharsets.UTF_8));
                give(out, one.getValue().bytes.toByteArray());
            }
            out.flush();
        }
    }
}
"""


def _plan(code: str) -> Plan:
    public, main, package = _PUBLIC.search(code), _MAIN.search(code), _PACKAGE.match(code)
    outer = _OUTER.findall(code[: main.start() if main else len(code)])
    start = outer[-1] if outer else "Main"
    file = f"{public.group(1) if public else start}.java"
    if package:
        start = f"{''.join(package.group(1).split())}.{start}"
    options = tuple(f"-J{option}" for option in _OPTIONS)
    return Plan(
        file,
        ("java", *_OPTIONS, "-Xmx384m", "-ea", "-cp", ".", start),
        ("javac", *options, "-proc:none", "-nowarn", "-Xlint:none", "-encoding", "UTF-8", "-d", ".", file),
    )


LANGUAGE = Language(
    "java",
    (".java",),
    {"javac": "default-jdk-headless", "java": "default-jre-headless"},
    _plan,
    server=Server(("java", *_OPTIONS, "-Xmx512m", "Server.java"), {"Server.java": _SERVER}),
    reads=("/etc/java-11-openjdk", "/etc/java-17-openjdk", "/etc/java-21-openjdk", "/etc/java-25-openjdk"),
    memory_bytes=1 << 30,
)

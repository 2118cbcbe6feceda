"""Every house rule finds its bad example, and finds nothing wrong with a good house."""

import pathlib
import tempfile
import unittest

import c_source
import check

MAIN = '#include <stdio.h>\n#include "midge.h"\n#include "loop.h"\nint main(void)\n{\n#if Y\n    return 0;\n#endif\n}\n'
LONG_BODY = "\n".join("    n += 1;" for _ in range(70))

# A small house in order. It has what could be taken for a breach: words in comments and literals, conditionals between
# functions.
GOOD = {
    "README.md": "[the core](broker/README.md), [its rule](broker/README.md#who-may-include-whom), `[x](nowhere)`\n",
    "broker/README.md": "# Broker\n## Who may include whom\n",
    "port/README.md": "# Port\n",
    "tests/README.md": "# Tests\n",
    "broker/midge.h": "#include <stdint.h>\n/* Never calls malloc(). */\n#if X\n#define Y 1\n#else\n#define Y 2\n#endif\n",
    "broker/base.h": '#include "midge.h"\n#define CHECK(x) do { if (!(x)) { halt(); } } while (0)\n',
    "broker/store.h": '#include "base.h"\n',
    "broker/store.c": '#include "store.h"\n#include <string.h>\n'
    'static const char *const text = "printf(";\n'
    "#if Y == 1\nstatic int f(struct s *s)\n{\n    return s->free(1) + s->time (2); /* time(0) */\n}\n#endif\n",
    "port/linux/main.c": MAIN,
    "port/linux/loop.h": "void loop(void);\n",
    "tests/unit/test_store.c": '#include "store.h"\n#include "base.h"\n',
}

# For each rule: what is added to the good house, and what must be found.
BAD = {
    "rule_core_layers": [
        ({"broker/base.c": '#include "store.h"\n'}, "broker/base.c:1: includes store.h"),
        ({"broker/packet.c": '#include "store.h"\n'}, "broker/packet.c:1: includes store.h"),
        ({"broker/surprise.c": ""}, "module 'surprise' has no layer"),
    ],
    "rule_core_circle": [
        (
            {"broker/topic.h": '#include "timers.h"\n', "broker/timers.h": '#include "topic.h"\n'},
            "circle: timers -> topic -> timers",
        ),
    ],
    "rule_core_includes": [
        ({"broker/store.c": "#include <stdio.h>\n"}, "broker/store.c:1: includes <stdio.h>"),
        ({"broker/store.c": '#include "lwip.h"\n'}, 'broker/store.c:1: includes "lwip.h"'),
    ],
    "rule_core_headers_outside": [
        ({"port/linux/loop.c": '#include "store.h"\n'}, "port/linux/loop.c:1: includes store.h"),
        ({"tests/sim/sim.c": '#include "../../broker/store.h"\n'}, "tests/sim/sim.c:1: includes ../../broker/store.h"),
        ({"tests/unit/test_base.c": '#include "store.h"\n'}, "tests/unit/test_base.c:1: includes store.h"),
    ],
    "rule_rooms": [
        ({"boards/x/board.h": "", "port/y.c": '#include "board.h"\n'}, "port/y.c:1: port/ may not include board.h of boards/"),
        ({"port/lwip/tcp.h": "", "port/linux/y.c": '#include "tcp.h"\n'}, "port/linux may not include tcp.h of another port"),
    ],
    "rule_boards": [
        ({"boards/x-1/board.cmake": ""}, "boards/x-1/README.md:1: lacks the heading Flashing"),
        ({"boards/x-1/board.cmake": "", "port/y.c": "/* as on x-1 */\n"}, "port/y.c:1: names the board x-1"),
        ({"boards/x-1/board.cmake": "", "boards/x-2/board.cmake": "x-1\n"}, "boards/x-2/board.cmake:1: names the board x-1"),
    ],
    "rule_banned_calls": [
        ({"broker/store.c": "void *f(void)\n{\n    return malloc (3);\n}\n"}, "broker/store.c:3: calls malloc"),
        ({"broker/store.h": "#define GIVE(p) \\\n    free(p)\n"}, "broker/store.h:2: calls free"),
    ],
    "rule_conditional_code": [
        (
            {"broker/store.c": "void f(void)\n{\n    g();\n#ifdef X\n    h();\n#endif\n}\n"},
            "store.c:4: conditional compilation inside f",
        ),
    ],
    "rule_function_length": [
        ({"broker/store.c": f"static int f(int n)\n{{\n{LONG_BODY}\n}}\n"}, "store.c:1: function f has 73 lines"),
        ({"tests/x/x.py": "def f(n):\n" + LONG_BODY.replace(";", "") + "\n"}, "x.py:1: function f has 71 lines"),
    ],
    "rule_file_length": [({"broker/store.c": "\n" * 601}, "the file has 601 lines")],
    "rule_line_width": [({"broker/store.c": "/*" + "x" * 127 + "*/\n"}, "store.c:1: the line has 131 characters")],
    "rule_unfinished": [({"broker/store.c": "/* TO" + "DO: more */\n"}, "store.c:1: unfinished")],
    "rule_top_level": [
        ({"notes.txt": ""}, "notes.txt:1: has no place at the top level"),
        ({"boards/x.c": ""}, "boards:1: the room has no README.md"),
    ],
    "rule_front_door": [
        ({"dev": "#: build  builds\nverb_build() { :; }\nverb_run() { :; }\n"}, "the verb run lacks its help"),
        ({"dev": "#: build  builds\n"}, "the verb build lacks its function"),
    ],
    "rule_links": [
        ({"README.md": "[x](broker/missing.md)\n"}, "README.md:1: the link broker/missing.md leads nowhere"),
        ({"README.md": "[x](broker/README.md#other)\n"}, "names a heading that is not there"),
    ],
}


# The examples have layers of their own, so that they do not change with the core's.
check.LAYERS = [["base"], ["packet", "topic", "store", "timers"]]


def findings_in(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return check.check(folder)


class TestRules(unittest.TestCase):
    def test_good_house(self):
        self.assertEqual([], findings_in(GOOD))

    def test_every_rule_has_a_bad_example(self):
        self.assertEqual({rule.__name__ for rule in check.RULES}, set(BAD))

    def test_bad_examples(self):
        for rule, examples in BAD.items():
            for added, expected in examples:
                with self.subTest(rule=rule, expected=expected):
                    found = findings_in({**GOOD, **added})
                    self.assertTrue(any(expected in finding for finding in found), found)


class TestSource(unittest.TestCase):
    def test_functions(self):
        text = (
            "struct s {\n    int a;\n};\n\nstatic const int t[] = { 1, 2 };\n\n"
            "static int f(int a,\n             int b)\n{\n    if (a) {\n        b = '}';\n    }\n    return b;\n}\n\n"
            "int g(void) { return 0; }\n"
        )
        found = [(f.name, f.first_line, f.last_line) for f in c_source.Source(text).functions]
        self.assertEqual([("f", 7, 14), ("g", 16, 16)], found)


if __name__ == "__main__":
    unittest.main()

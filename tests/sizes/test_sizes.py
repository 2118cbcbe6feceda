"""The tables of sizes: a budget that is exceeded and a README that differs are found."""

import copy
import unittest

import sizes

ENTRY = {constant: 8 for _, constant in sizes.ENTRIES}
MEASURED = {
    "entries": {16: {**ENTRY, "MIDGE_INDEX_SIZE": 2}, 32: {**ENTRY, "MIDGE_INDEX_SIZE": 4}},
    "code": [("Cortex-M3", 16, 30000, sizes.CORTEX_M3_TEXT_MAX), ("x86-64", 32, 30000, 30000)],
    "memory": "pool  bytes\nall   1234",
}


class TestSizes(unittest.TestCase):
    def test_constants_of_the_header(self):
        for bits in (16, 32):
            found = sizes.constants(bits)
            for _, constant in sizes.ENTRIES:
                self.assertGreater(found[constant], 0)
        self.assertLess(sizes.constants(16)["MIDGE_SESSION_SIZE"], sizes.constants(32)["MIDGE_SESSION_SIZE"])

    def test_idle_client_counts_everything(self):
        # connection, what it waits for, 4 replies, session
        self.assertEqual(8 + 8 + 4 * 8 + 8, sizes.idle_client(MEASURED["entries"][16], 4))

    def test_code_size_sees_code(self):
        sources = [sizes.ROOT / "broker" / "topic.c"]
        for _, *target, bits in sizes.TARGETS:
            both = sizes.code_size(*target, bits, sources, {"midge_topic_check", "midge_filter_check"})
            one = sizes.code_size(*target, bits, sources, {"midge_topic_check"})
            self.assertEqual([both[1], one[1]], [both[0], one[0]], "midge_audit is not in that file")
            self.assertGreater(both[1], one[1])
            self.assertGreater(one[1], 50)

    def test_public_functions(self):
        found = sizes.public_functions()
        self.assertLessEqual({"midge_init", "midge_receive", "midge_memory_rows", "midge_connected"}, found)
        self.assertNotIn("midge_audit", found)

    def test_budgets(self):
        self.assertEqual([], sizes.broken_budgets(MEASURED))
        fat = copy.deepcopy(MEASURED)
        fat["code"][0] = ("Cortex-M3", 16, 30000, sizes.CORTEX_M3_TEXT_MAX + 1)
        fat["entries"][16]["MIDGE_SESSION_SIZE"] = sizes.IDLE_CLIENT_BYTES_MAX
        self.assertEqual(2, len(sizes.broken_budgets(fat)))

    def test_readme(self):
        section = sizes.render(MEASURED)
        readme = f"before\n{sizes.BEGIN}\nold\n{sizes.END}\nafter\n"
        wanted = sizes.replace_section(readme, section)
        self.assertTrue(wanted.startswith("before\n") and wanted.endswith("\nafter\n") and "all   1234" in wanted)
        self.assertNotEqual([], sizes.differences(readme, wanted))
        self.assertEqual(wanted, sizes.replace_section(wanted, section))
        with self.assertRaises(ValueError):
            sizes.replace_section("no markers", section)


if __name__ == "__main__":
    unittest.main()

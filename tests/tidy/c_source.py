"""Takes a C source apart just far enough for the house rules: includes, directives, code without comments, functions."""

import bisect
import re


class Function:
    def __init__(self, name, first_line, last_line):
        self.name = name
        self.first_line = first_line
        self.last_line = last_line


class Source:
    """includes: (line, name, is a system header). directives: (line, text). code_lines: the lines without comments and the
    contents of literals; the bodies of macros are code, too. functions: the definitions, in their order."""

    def __init__(self, text):
        bare = blank_comments_and_literals(text)
        self.includes = []
        self.directives = []
        self.code_lines = []
        plain_lines = []  # code outside of directives
        raw_lines = text.split("\n")
        continued = False
        for number, line in enumerate(bare.split("\n"), 1):
            if continued or re.match(r"\s*#", line):
                if not continued:
                    self.directives.append((number, line.strip()))
                    self._take_include(number, raw_lines[number - 1])
                continued = line.endswith("\\")
                plain_lines.append("")
            else:
                continued = False
                plain_lines.append(line)
            self.code_lines.append(line)
        self.functions = find_functions(plain_lines)

    def _take_include(self, number, line):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            self.includes.append((number, match.group(2), match.group(1) == "<"))

    def function_at(self, line):
        """The function that has this line, or None."""
        at = bisect.bisect_right([f.first_line for f in self.functions], line) - 1
        if at >= 0 and self.functions[at].last_line >= line:
            return self.functions[at]
        return None


def blank_comments_and_literals(text):
    """Replaces comments and the contents of literals by blanks; the lines stay where they are."""
    pattern = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)

    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]

    return pattern.sub(blank, text)


def find_functions(lines):
    """A function is a block at depth 0 that follows a closing parenthesis. It begins where its first line does."""
    functions = []
    depth = 0
    head = ""  # what stands since the end of the last declaration at depth 0
    head_line = 1
    name = None
    for number, line in enumerate(lines, 1):
        for character in line:
            if character == "{":
                if depth == 0 and head.rstrip().endswith(")"):
                    name = function_name(head)
                depth += 1
            elif character == "}":
                depth -= 1
                if depth == 0:
                    if name is not None:
                        functions.append(Function(name, head_line, number))
                    name = None
                    head = ""
            elif depth == 0 and character == ";":
                head = ""
            elif depth == 0:
                if not head.strip():
                    head = ""
                    head_line = number
                head += character
        if depth == 0:
            head += " " if head else ""
    return functions


def function_name(head):
    match = re.search(r"([A-Za-z_]\w*)\s*\(", head)
    return match.group(1) if match else "?"

"""Runs a program under the system call filter that a unit asks systemd for, without systemd.

    confine.py FILTER COMMAND [ARGUMENT...]

FILTER is a file that write_filter() has made of a unit. It applies NoNewPrivileges, SystemCallFilter (by systemd's own groups),
RestrictAddressFamilies and MemoryDenyWriteExecute, with libseccomp. Where systemd lets a forbidden call fail, it kills the
program here, so that a test cannot overlook it; a forbidden kind of socket, or of memory, fails as there.
"""

import ctypes
import functools
import mmap
import os
import pathlib
import socket
import subprocess
import sys

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
FAIL = 0x00050000  # plus the error number
EPERM, EAFNOSUPPORT = 1, 97
EQUAL, MASKED_EQUAL = 4, 7
PR_SET_SECCOMP, MODE_FILTER = 22, 2
PR_SET_NO_NEW_PRIVS = 38
INSTRUCTION_SIZE = 8


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def settings(unit):
    """The settings of a unit: for each name its values, in their order."""
    found = {}
    with open(unit, encoding="utf-8") as file:
        for line in file:
            name, equals, value = line.strip().partition("=")
            if equals and not line.startswith("#"):
                found.setdefault(name, []).append(value)
    return found


@functools.cache
def groups():
    """systemd's groups of system calls, each with what it lists: calls, and other groups."""
    found = {}
    command = ["systemd-analyze", "--no-pager", "syscall-filter"]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if line.startswith("@"):
            members = found.setdefault(line.strip(), set())
        elif line.startswith("    ") and not line.lstrip().startswith("#"):
            members.add(line.strip())
    return found


def calls_of(name):
    """The system calls that a name in a filter stands for."""
    if not name.startswith("@"):
        return {name}
    return set().union(*(calls_of(member) for member in groups()[name]))


def allowed_calls(filters):
    """What several lines of SystemCallFilter allow together."""
    allowed = set(calls_of("@default"))
    for line in filters:
        calls = set().union(*(calls_of(name) for name in line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    # Whatever is forbidden, these stay, or no program would run: systemd.exec(5).
    return allowed | calls_of("@default")


class Filter:
    def __init__(self):
        self.library = ctypes.CDLL("libseccomp.so.2")
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(KILL_PROCESS)))

    def rule(self, action, call, *comparisons):
        number = self.library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return  # another architecture has it
        array = (Comparison * len(comparisons))(*comparisons)
        failed = self.library.seccomp_rule_add_array(self.context, ctypes.c_uint32(action), number, len(comparisons), array)
        if failed:
            raise OSError(-failed, f"cannot add a rule for {call}")

    def write(self, path):
        with open(path, "wb") as file:
            failed = self.library.seccomp_export_bpf(self.context, file.fileno())
        if failed:
            raise OSError(-failed, "cannot write the filter")


def write_filter(unit, path):
    """Makes the filter that the unit asks for."""
    asked = settings(unit)
    applied = Filter()
    allowed = allowed_calls(asked["SystemCallFilter"])
    families = [getattr(socket, name) for name in asked["RestrictAddressFamilies"][0].split()]
    both = mmap.PROT_WRITE | mmap.PROT_EXEC
    # libseccomp knows no "none of these", but it knows what each number is.
    for family in range(1, 64):
        applied.rule(ALLOW if family in families else FAIL | EAFNOSUPPORT, "socket", Comparison(0, EQUAL, family, 0))
    applied.rule(FAIL | EPERM, "mmap", Comparison(2, MASKED_EQUAL, both, both))
    for missing in (mmap.PROT_WRITE, mmap.PROT_EXEC, 0):
        applied.rule(ALLOW, "mmap", Comparison(2, MASKED_EQUAL, both, missing))
    applied.rule(FAIL | EPERM, "mprotect", Comparison(2, MASKED_EQUAL, mmap.PROT_EXEC, mmap.PROT_EXEC))
    applied.rule(ALLOW, "mprotect", Comparison(2, MASKED_EQUAL, mmap.PROT_EXEC, 0))
    for call in allowed - {"socket", "mmap", "mprotect"}:
        applied.rule(ALLOW, call)
    applied.write(path)


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("size", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def apply(path):
    instructions = pathlib.Path(path).read_bytes()
    program = Program(len(instructions) // INSTRUCTION_SIZE, instructions)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "cannot apply the filter")


if __name__ == "__main__":
    apply(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])

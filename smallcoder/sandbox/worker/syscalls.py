"""Linux system calls that Python 3.11 does not offer: namespaces, mounts, Landlock, seccomp, capabilities.

Through ctypes, so the sandbox needs no compiled part and no package. x86-64 and AArch64. Every function raises
OSError where the kernel refuses; which kernel allows what is found by trying (`tiers.py`).
"""

import ctypes
import errno
import functools
import os
import platform
import struct
from collections.abc import Callable, Sequence

CLONE_FS = 0x00000200
CLONE_FILES = 0x00000400
CLONE_PARENT = 0x00008000
CLONE_THREAD = 0x00010000
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
_NAMESPACES = CLONE_NEWNS | 0x02000000 | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
_AT_RECURSIVE, _AT_FDCWD = 0x8000, -100

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 4, 38, 22

_X86 = platform.machine() == "x86_64"
_AUDIT_ARCH = 0xC000003E if _X86 else 0xC00000B7
_SIGCHLD = 17

# name: (x86-64, AArch64). None where the architecture has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "capset": (126, 91), "chmod": (90, None),
    "chown": (92, None), "chroot": (161, 51), "clone": (56, 220), "clone3": (435, 435), "delete_module": (176, 106),
    "execve": (59, 221), "execveat": (322, 281), "fanotify_init": (300, 262), "fchmod": (91, 52),
    "fchmodat": (268, 53), "fchmodat2": (452, 452), "fchown": (93, 55), "fchownat": (260, 54), "fcntl": (72, 25),
    "finit_module": (313, 273), "fork": (57, None), "fremovexattr": (199, 16), "fsconfig": (431, 431),
    "fsetxattr": (190, 7), "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433),
    "futimesat": (261, None), "getppid": (110, 173),
    "init_module": (175, 105), "inotify_init": (253, None), "inotify_init1": (294, 26),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioctl": (16, 29),
    "ioprio_set": (251, 30), "kcmp": (312, 272), "kexec_load": (246, 104), "keyctl": (250, 219), "kill": (62, 129),
    "landlock_add_rule": (445, 445), "landlock_create_ruleset": (444, 444), "landlock_restrict_self": (446, 446),
    "lchown": (94, None), "lremovexattr": (198, 15), "lsetxattr": (189, 6), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "mknod": (133, None), "mknodat": (259, 33), "mount": (165, 40),
    "mount_setattr": (442, 442), "move_mount": (429, 429), "mq_open": (240, 180), "msgget": (68, 186),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "prctl": (157, 167), "prlimit64": (302, 261),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "reboot": (169, 142), "removexattr": (197, 14), "request_key": (249, 218), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "seccomp": (317, 277), "semget": (64, 190),
    "setgroups": (116, 159), "setns": (308, 268), "setpriority": (141, 140), "setresgid": (119, 149),
    "setresuid": (117, 147), "setsid": (112, 157), "setxattr": (188, 5), "shmget": (29, 194), "socket": (41, 198),
    "swapoff": (168, 225), "swapon": (167, 224), "tgkill": (234, 131), "tkill": (200, 130), "truncate": (76, 45),
    "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282), "utime": (132, None),
    "utimensat": (280, 88), "utimes": (235, None), "vfork": (58, None),
}  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)
_word = functools.cache(ctypes.c_long)  # one object for a number: a forked child copies what it passes on
_held = ctypes.PyDLL(None)  # keeps the interpreter lock during the call, as a fork needs


def _errno() -> ctypes.c_int:
    """Where the C library says why a call of `_held` failed: the copy that ctypes makes otherwise costs two pages."""
    place = _held["__errno_location"]
    place.restype = ctypes.POINTER(ctypes.c_int)
    return place().contents


def _call(name: str, *arguments: int | bytes | None) -> int:
    number = _NUMBERS[name][0 if _X86 else 1]
    padded = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = _libc.syscall(ctypes.c_long(number or -1), *padded)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    """Move this process (for pids: its next children) into new namespaces."""
    _call("unshare", flags)


def fork_with(flags: int) -> int:
    """Like os.fork, but into new namespaces, or sharing what the flags say. With CLONE_NEWPID the child is the first
    process of its pid namespace, and all in it die with that child.
    """
    _before_fork()
    pid = clone(flags)()
    (_after_fork_parent if pid else _after_fork_child)()
    if pid < 0:
        raise OSError(-pid, f"clone: {os.strerror(-pid)}")
    return pid


_before_fork, _after_fork_parent, _after_fork_child = (
    getattr(ctypes.pythonapi, f"PyOS_{name}") for name in ("BeforeFork", "AfterFork_Parent", "AfterFork_Child")
)


def clone(flags: int) -> Callable[[], int]:
    """A fork that none of Python's hooks sees, for a process of one thread: 0, a process id, or an error below 0."""
    number = _NUMBERS["clone"][0 if _X86 else 1]
    arguments = tuple(map(_word, (number or -1, flags | _SIGCHLD, 0, 0, 0, 0)))
    call, error = _held["syscall"], _errno()

    def go() -> int:
        pid = call(*arguments)
        return pid if pid >= 0 else -error.value

    return go


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2)."""
    _call("mount", source.encode(), target.encode(), kind.encode(), flags, data.encode())


def make_read_only(path: str) -> None:
    """Make a mount and all below it read-only, without set-uid programs and devices (kernel 5.12)."""
    attributes = struct.pack("<QQQQ", MS_RDONLY | MS_NOSUID | MS_NODEV, 0, 0, 0)
    _call("mount_setattr", _AT_FDCWD, path.encode(), _AT_RECURSIVE, attributes, len(attributes))


def unmount(path: str) -> None:
    """Detach a mount; it goes away when nothing uses it any more."""
    _call("umount2", path.encode(), MNT_DETACH)


def pivot_to(path: str) -> None:
    """Make `path`, a mount point, the root directory and let go of the old one."""
    os.chdir(path)
    _call("pivot_root", b".", b".")
    unmount(".")
    os.chdir("/")


class Prepared:
    """A system call whose arguments are built in advance."""

    def __init__(self, name: str, *arguments: int, keep: object = None) -> None:
        """`keep` holds what the arguments point to."""
        self.name, self.keep = name, keep
        number = _NUMBERS[name][0 if _X86 else 1]
        self.arguments = (number or -1, *arguments)


def in_turn(calls: Sequence[Prepared]) -> Callable[[], None]:
    """What makes the calls, and touches few pages. It raises OSError at the first that is refused."""
    calls, call, error = list(calls), _held["syscall"], _errno()
    prepared = [tuple(map(_word, item.arguments)) for item in calls]

    def make() -> None:
        for arguments in prepared:
            if call(*arguments) < 0:
                code = error.value
                raise OSError(code, f"{calls[prepared.index(arguments)].name}: {os.strerror(code)}")

    return make


def hardening(death_signal: int) -> list[Prepared]:
    """No new privileges, no core dump or inspection by others, `death_signal` when the parent dies, no capabilities."""
    header = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0), 8)
    sets = ctypes.create_string_buffer(24)
    return [
        Prepared("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        Prepared("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0),
        Prepared("prctl", _PR_SET_PDEATHSIG, death_signal, 0, 0, 0),
        Prepared("capset", ctypes.addressof(header), ctypes.addressof(sets), keep=(header, sets)),
    ]


def become(uid: int) -> list[Prepared]:
    """Another user, whose only group has the same number."""
    return [
        Prepared("setgroups", 0, 0),
        Prepared("setresgid", uid, uid, uid),
        Prepared("setresuid", uid, uid, uid),
    ]


def die_with_parent() -> None:
    """Be killed when the parent ends."""
    _call("prctl", _PR_SET_PDEATHSIG, 9, 0, 0, 0)


_FILE_RIGHTS = 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15  # write_file, read_file, truncate, ioctl_dev
_READ_RIGHTS = 1 << 2 | 1 << 3  # read_file, read_dir


def landlock_ruleset(readable: list[str], devices: list[str], writable: str) -> int:
    """A Landlock ruleset as a descriptor: read below `readable`, use `devices`, anything below `writable`."""
    abi = _call("landlock_create_ruleset", None, 0, 1)
    handled = (1 << 13) - 1 | (1 << 13 if abi >= 2 else 0) | (1 << 14 if abi >= 3 else 0) | (1 << 15 if abi >= 5 else 0)
    ruleset = _call("landlock_create_ruleset", struct.pack("<Q", handled), 8, 0)
    rules = [(path, _READ_RIGHTS) for path in readable] + [(path, _FILE_RIGHTS) for path in devices]
    for path, rights in [*rules, (writable, handled)]:
        allowed = rights & handled if os.path.isdir(path) else rights & handled & _FILE_RIGHTS
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        _call("landlock_add_rule", ruleset, 1, struct.pack("<Qi", allowed, handle), 0)
        os.close(handle)
    return ruleset


def landlock_restriction(ruleset: int) -> Prepared:
    """Binds a process to a ruleset for good. Needs `hardening` first."""
    return Prepared("landlock_restrict_self", ruleset, 0)


_SET_OWNER = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX
_IOCTL_SET_OWNER = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF instructions
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def seccomp_filter(refused: Sequence[str], clone: str) -> bytes:
    """A BPF program that answers EPERM to the named calls, and to limits and signals for others.

    `clone` may start "threads", "processes" too, or "namespaces" too. `clone3`, whose flags a filter cannot see, is
    "not implemented", so that the C library falls back to `clone`. `fcntl` and `ioctl` could name another process to
    be signalled for a descriptor.
    """
    program: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _AUDIT_ARCH), (_RETURN, 0, 0, _KILL)]
    program += [(_LOAD, 0, 0, 0)]
    if _X86:  # the x32 calls have numbers of their own
        program += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    answers = dict.fromkeys(refused, errno.EPERM) | {"clone3": errno.ENOSYS}
    for name, code in answers.items():
        number = _NUMBERS[name][0 if _X86 else 1]
        if number is not None:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | code)]
    refuse, allow = (_RETURN, 0, 0, _ERROR | errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    clones = {"processes": [("clone", 0, [(_ANY_BIT, _NAMESPACES)], refuse, allow)],
              "threads": [("clone", 0, [(_ANY_BIT, CLONE_THREAD)], allow, refuse)], "namespaces": []}  # fmt: skip
    for name, argument, tests, found, otherwise in (
        *clones[clone],
        ("prlimit64", 0, [(_EQUAL, 0)], allow, refuse),
        ("fcntl", 1, [(_EQUAL, command) for command in _SET_OWNER], refuse, allow),
        ("ioctl", 1, [(_EQUAL, request) for request in _IOCTL_SET_OWNER], refuse, allow),
    ):
        number = _NUMBERS[name][0 if _X86 else 1] or 0
        program += [(_EQUAL, 0, 2 * len(tests) + 2, number), (_LOAD, 0, 0, 16 + 8 * argument)]
        for code, value in tests:
            program += [(code, 0, 1, value), found]
        program += [otherwise]
    program += [allow]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def seccomp_threads(refused: Sequence[str]) -> bytes:
    """A short program that goes on top of `seccomp_filter`: the named calls are refused, `clone` may start threads."""
    program: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, 0)]
    for name in refused:
        number = _NUMBERS[name][0 if _X86 else 1]
        program += [(_EQUAL, 0, 1, number or 0), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    number = _NUMBERS["clone"][0 if _X86 else 1] or 0
    program += [(_EQUAL, 0, 3, number), (_LOAD, 0, 0, 16), (_ANY_BIT, 1, 0, CLONE_THREAD)]
    program += [(_RETURN, 0, 0, _ERROR | errno.EPERM), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def seccomp_restriction(program: bytes) -> Prepared:
    """Installs a filter for good. Needs `hardening` first."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)), 16)
    return Prepared("prctl", _PR_SET_SECCOMP, 2, ctypes.addressof(header), 0, 0, keep=(buffer, header))

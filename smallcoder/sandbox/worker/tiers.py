"""How well a candidate is shut in. Each tier is reached by doing it, never by asking whether it could be done.

| tier   | the slot, once                                      | every run                                            |
|--------|-----------------------------------------------------|------------------------------------------------------|
| A      | own mounts (libraries read-only), own network, IPC  | own process ids, a uid of the slot's own where it is |
|        | and host name; a capped tmpfs as /tmp               | root, no capabilities, seccomp, limits               |
| B      | the same                                            | no capabilities, Landlock, seccomp, limits           |
| C      | a temporary folder                                  | the same                                             |
| unsafe | a temporary folder                                  | limits                                               |

A run is *closed* (a Python function: seccomp refuses new processes, programs, sockets, signals and tracing; threads are
allowed; memory is one address space) or *open* (a compiler or a program of another language, in tier A alone: processes
and signals stay among its own process ids, sockets and tracing are refused, the slot adds up memory and CPU time of all
its processes). Namespaces come from our own calls and not from bubblewrap: one mechanism, nothing to install, and a
run costs a clone(2) and no program start. Not covered: side channels, kernel bugs, what the read-only folders and an
open run's own /proc say about the host, and a fair share of the machine between runs.
"""

import os
import resource
import select
import signal
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from . import syscalls

TMP_BYTES = 256 << 20  # all files of a run
FILE_BYTES = 64 << 20  # one file
OPEN_FILES = 256
PROCESSES = 128  # processes and threads of a run
_DESCRIPTORS = 1 << 16
Close = Callable[..., None]  # see `Jail.closing`
_LIMITED = (
    resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE,
    resource.RLIMIT_MEMLOCK, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC,
)  # fmt: skip
_SETTLED_LIMITS = {
    resource.RLIMIT_FSIZE: FILE_BYTES,
    resource.RLIMIT_NOFILE: OPEN_FILES,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_MEMLOCK: 0,
}
_ROOT = "/sys"  # covered by the new root: it exists everywhere and nothing in it is needed
_DEVICES = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"]
_LIBRARIES = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache"]
_GUARDED = syscalls.MS_NOSUID | syscalls.MS_NODEV
_REFUSED = """
    acct add_key bpf capset chroot delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick init_module
    inotify_init inotify_init1 io_uring_enter io_uring_register io_uring_setup ioprio_set kcmp kexec_load keyctl
    landlock_create_ruleset memfd_create memfd_secret mknodat mount mount_setattr move_mount mq_open msgget
    name_to_handle_at open_by_handle_at open_tree perf_event_open personality pidfd_getfd pivot_root process_vm_readv
    process_vm_writev ptrace quotactl reboot request_key seccomp semget
    setns setpriority shmget socket swapoff swapon umount2 unshare userfaultfd
""".split()  # noqa: SIM905
_REFUSED_WHEN_CLOSED = """
    execve execveat fork kill mknod pidfd_open pidfd_send_signal prctl rt_sigqueueinfo rt_tgsigqueueinfo
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler tgkill tkill vfork
""".split()  # noqa: SIM905
_REFUSED_AT_LAST = ["prctl", "capset", "mount", "umount2"]  # what a closed run still needs on its way in
_REFUSED_ON_HOST_FILES = """
    chmod chown fchmod fchmodat fchmodat2 fchown fchownat fremovexattr fsetxattr futimesat lchown lremovexattr lsetxattr
    removexattr setxattr truncate utime utimensat utimes
""".split()  # noqa: SIM905  (Landlock does not cover these)


class Jail:
    """The isolation of one slot. Made in the slot; `fork` and `confine` make it bind one run."""

    def __init__(self, tier: str, scratch: str, reads: list[str]) -> None:
        """Enter the tier. `scratch` is an existing empty folder outside, `reads` are folders that runs may read.

        Raises OSError where the kernel refuses.
        """
        self.tier = tier
        self.folder = "/tmp" if tier in "AB" else scratch
        self._slot = select.poll()
        self._slot.register(os.pidfd_open(os.getpid()), select.POLLIN)
        hard = {kind: resource.getrlimit(kind)[1] for kind in _LIMITED}
        self._hard = {kind: sys.maxsize if most == resource.RLIM_INFINITY else most for kind, most in hard.items()}
        self._processes = {resource.RLIMIT_NPROC: PROCESSES} if tier in "ABC" else {}  # of a user, so not in `unsafe`
        uid = 20_000 + os.getpid() % 40_000
        self._uid = uid if os.geteuid() == 0 and tier in "ABC" and _is_mapped(uid) else None
        settled = [name for name in _REFUSED + _REFUSED_WHEN_CLOSED if name not in _REFUSED_AT_LAST]
        readable = sorted({*_LIBRARIES, *(path for path in sys.path if path.startswith("/")), *reads})
        readable = [path for path in readable if os.path.exists(path)]
        if tier in "AB":
            self._enter_namespaces(readable)
        if tier == "C":
            settled += _REFUSED_ON_HOST_FILES
            if not all(map(_open_to_all, filter(os.path.isabs, sys.path))):  # such as an interpreter under /root
                self._uid = None
            if self._uid is not None:
                os.chown(scratch, self._uid, self._uid)
        restrict = syscalls.seccomp_restriction
        unprivileged, *hardening = syscalls.hardening(signal.SIGKILL)
        if tier == "unsafe":
            hardening = hardening[:-1]
        elif self._uid is not None:  # before the rest: a new uid clears the death signal
            hardening = [*syscalls.become(self._uid), *hardening]
        hardening = [syscalls.Prepared("setsid"), *hardening]
        # What shuts in the template, a closed run that it starts, and an open run.
        self._settling, self._closing, self._opening = [unprivileged], hardening, [unprivileged, *hardening]
        if tier in "BC":
            ruleset = syscalls.landlock_ruleset(["/"] if tier == "B" else readable, _DEVICES, self.folder)
            self._settling.append(syscalls.landlock_restriction(ruleset))
        if tier != "unsafe":
            self._settling.append(restrict(syscalls.seccomp_filter(settled, "namespaces")))
            self._closing = [*hardening, restrict(syscalls.seccomp_threads(_REFUSED_AT_LAST))]
            self._opening.append(restrict(syscalls.seccomp_filter(_REFUSED, "processes")))
        if self.folder != "/tmp":
            os.environ["TMPDIR"] = self.folder  # for a candidate's tempfile
        os.chdir(self.folder)

    def _enter_namespaces(self, readable: list[str]) -> None:
        flags = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
        uid, gid = os.geteuid(), os.getegid()
        try:
            syscalls.unshare(flags)
        except PermissionError:
            syscalls.unshare(flags | syscalls.CLONE_NEWUSER)
            self._uid = None
            for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
        syscalls.mount("none", "/", "none", syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("jail", _ROOT, "tmpfs", _GUARDED, "size=1m,mode=755")
        bound: list[str] = []
        for path in readable:
            if not any(path.startswith(f"{other}/") for other in bound):
                bound += [] if os.path.islink(path) else [path]
                _bind(path)
        for path in _DEVICES:
            os.makedirs(_ROOT + os.path.dirname(path), exist_ok=True)
            open(_ROOT + path, "w").close()
            syscalls.mount(path, _ROOT + path, "none", syscalls.MS_BIND)
        os.mkdir(f"{_ROOT}/tmp")
        os.mkdir(f"{_ROOT}/proc", 0)
        os.symlink("/proc/self/fd", f"{_ROOT}/dev/fd")
        syscalls.pivot_to(_ROOT)
        syscalls.mount("none", "/", "none", syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | _GUARDED)
        self._mount_tmp()

    def _mount_tmp(self) -> None:
        syscalls.mount("tmp", "/tmp", "tmpfs", _GUARDED, f"size={TMP_BYTES},nr_inodes=10000,mode=1777")

    def _renew_tmp(self) -> None:
        os.chdir("/")
        syscalls.unmount("/tmp")
        self._mount_tmp()
        os.chdir("/tmp")

    def fork(self) -> int:
        """Fork one open run; 0 in the child. In tier A it is alone with its own process ids and mounts."""
        return syscalls.fork_with(syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS) if self.tier == "A" else os.fork()

    def fork_sharing(self) -> int:
        """Fork a process that has this one's descriptors and folder, and keeps having them as they change."""
        return syscalls.fork_with(syscalls.CLONE_FILES | syscalls.CLONE_FS)

    def settle(self) -> None:
        """In the template: take on what all closed runs have in common."""
        syscalls.die_with_parent()
        self._watch_slot()
        self._limit(_SETTLED_LIMITS)
        syscalls.in_turn(self._settling)()

    def clones(self) -> tuple[Callable[[], int], Callable[[], int]]:
        """What starts a closed run in the template, as `fork` in tier A: without mounts of its own, and with."""
        alone = syscalls.CLONE_PARENT | (syscalls.CLONE_NEWPID if self.tier == "A" else 0)
        mounts = syscalls.CLONE_NEWNS if self.tier == "A" else 0
        return syscalls.clone(alone), syscalls.clone(alone | mounts)

    def closing(self) -> Close:
        """What a closed run calls to give up everything, for good: `close(cpu_seconds, memory_bytes, kept, tmp=True)`.

        `kept` are the descriptors above 2 that stay, in order. Without `tmp`, a run with its own mounts gets an empty
        /tmp. Raises OSError, after which the run must not go on. All that it looks at is made here, so a child copies
        few pages for it.
        """
        return self._closed_by(self._closing, self._processes, os.closerange)

    def rehearsal(self) -> Close:
        """As `closing`, and harmless: limits that are none, calls that ask for the parent's id, nothing closed."""
        none = dict.fromkeys(self._processes, sys.maxsize)
        return self._closed_by([syscalls.Prepared("getppid")] * len(self._closing), none, divmod)

    def _closed_by(
        self, calls: list[syscalls.Prepared], processes: dict[int, int], forget: Callable[[int, int], object]
    ) -> Close:
        limit, make, dead, leave = resource.setrlimit, syscalls.in_turn(calls), self._slot.poll, os._exit
        cpu, memory = resource.RLIMIT_CPU, resource.RLIMIT_AS
        most_cpu, most_memory = self._hard[cpu], self._hard[memory]
        fixed = [(kind, (bound, bound)) for kind, bound in self._bounds(processes)]

        def close(cpu_seconds: int, memory_bytes: int, kept: Sequence[int], tmp: bool = True) -> None:
            if not tmp and self.tier == "A":
                self._renew_tmp()
            cpu_seconds, memory_bytes = min(cpu_seconds, most_cpu), min(memory_bytes, most_memory)
            limit(cpu, (cpu_seconds, cpu_seconds))
            limit(memory, (memory_bytes, memory_bytes))
            for kind, bounds in fixed:
                limit(kind, bounds)
            make()
            if dead(0):
                leave(1)
            low = 3
            for handle in kept:
                forget(low, handle)
                low = handle + 1
            forget(low, _DESCRIPTORS)

        return close

    def open(self, cpu_seconds: int, memory_bytes: int, tmp: bool = True) -> None:
        """As `close`, in an open run. Of its memory, what it reserves does not count: node and Java do so by the GB."""
        if self.tier == "A" and not tmp:
            self._renew_tmp()
        if self.tier == "A":
            with suppress(OSError):  # in some containers only the outer one's /proc may be seen
                syscalls.mount("proc", "/proc", "proc", _GUARDED | syscalls.MS_RDONLY | syscalls.MS_NOEXEC)
        own = {resource.RLIMIT_CPU: cpu_seconds, resource.RLIMIT_DATA: memory_bytes}
        self._limit(_SETTLED_LIMITS | self._processes | own)
        syscalls.in_turn(self._opening)()
        self._watch_slot()

    def _watch_slot(self) -> None:
        if self._slot.poll(0):  # it died before its death could be told to this process
            os._exit(1)

    def _limit(self, limits: dict[int, int]) -> None:
        for kind, bound in self._bounds(limits):
            resource.setrlimit(kind, (bound, bound))

    def _bounds(self, limits: dict[int, int]) -> list[tuple[int, int]]:
        return [(kind, min(bound, self._hard[kind])) for kind, bound in limits.items()]

    def clean(self) -> None:
        """Empty the scratch folder after a run, whatever the run left in it."""
        if self.tier != "A":
            empty_folder(self.folder)
        elif os.listdir("/tmp"):
            self._renew_tmp()


def empty_folder(folder: str) -> None:
    """Delete all in a folder. Walks with one descriptor and no recursion, so no depth and no long path can stop it."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    path: list[str] = []  # names from `folder` down to `here`
    todo = [_delete_files(here)]  # for each of those levels, the folders still to be entered
    while todo:
        if todo[-1]:
            path.append(todo[-1].pop())
            os.chmod(path[-1], 0o700, dir_fd=here)
            there = os.open(path[-1], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            todo.append(_delete_files(there))
        else:
            there = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            todo.pop()
            if path:
                os.rmdir(path.pop(), dir_fd=there)
        os.close(here)
        here = there
    os.close(here)


def _delete_files(here: int) -> list[str]:
    """Delete what is no folder in an open folder, and name the rest."""
    folders = []
    with os.scandir(here) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=here)
    return folders


def _is_mapped(uid: int) -> bool:
    """Whether a root of this user namespace may become that user and group: some containers have but one user."""
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/self/{name}") as file:
            ranges = [list(map(int, line.split())) for line in file]
        if not any(first <= uid < first + count for first, _, count in ranges):
            return False
    return True


def _open_to_all(path: str) -> bool:
    """Whether another user can come to a path, if it exists."""
    above = os.path.dirname(path)
    passable = path == above or not os.path.isdir(above) or bool(os.stat(above).st_mode & stat.S_IXOTH)
    return path == above or (passable and _open_to_all(above))


def _bind(path: str) -> None:
    target = _ROOT + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.mkdir(target)
    else:
        open(target, "w").close()
    syscalls.mount(path, target, "none", syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.make_read_only(target)


def discard_folder(folder: str) -> None:
    """Delete a scratch folder whose slot is gone. Leftovers that resist are no reason to fail."""
    with suppress(OSError):
        empty_folder(folder)
        os.rmdir(folder)

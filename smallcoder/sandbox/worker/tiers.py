"""How well a candidate is shut in. Each tier is reached by doing it, never by asking whether it could be done.

| tier       | the slot, once                                     | every run                                       |
|------------|----------------------------------------------------|-------------------------------------------------|
| namespaces | own mounts (libraries read-only, no /proc), own    | own process ids, uid 65534 where the slot is    |
|            | network, IPC and host name; a capped tmpfs as /tmp | root, no capabilities, seccomp, limits          |
| process    | a temporary folder                                 | no capabilities, Landlock, seccomp, limits      |
| unsafe     | a temporary folder                                 | limits                                          |

Seccomp refuses new processes, programs, sockets, signals and tracing; threads are allowed, and their stacks count
towards the memory limit. The limit on memory is one on address space. Not covered: side channels, kernel bugs, what
the read-only libraries say about the host, and a fair share of the machine between runs.
"""

import os
import resource
import select
import shutil
import signal
import sys
import tempfile

from . import syscalls

TMP_BYTES = 64 << 20  # all files of a run
FILE_BYTES = 16 << 20  # one file
OPEN_FILES = 64
NOBODY = 65534
_ROOT = "/sys"  # covered by the new root: it exists everywhere and nothing in it is needed
_DEVICES = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"]
_LIBRARIES = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache"]
_REFUSED = """
    acct add_key bpf capset chroot delete_module execve execveat fanotify_init finit_module fork fsconfig fsmount fsopen
    fspick init_module inotify_init inotify_init1 io_uring_enter io_uring_register io_uring_setup ioprio_set kcmp
    kexec_load keyctl kill landlock_create_ruleset memfd_create memfd_secret mknod mknodat mount mount_setattr
    move_mount mq_open msgget name_to_handle_at open_by_handle_at open_tree perf_event_open personality pidfd_getfd
    pidfd_open pidfd_send_signal pivot_root prctl process_vm_readv process_vm_writev ptrace quotactl reboot request_key
    rt_sigqueueinfo rt_tgsigqueueinfo sched_setaffinity sched_setattr sched_setparam sched_setscheduler seccomp semget
    setns setpriority shmget socket swapoff swapon tgkill tkill umount2 unshare userfaultfd vfork
""".split()  # noqa: SIM905
_REFUSED_ON_HOST_FILES = """
    chmod chown fchmod fchmodat fchmodat2 fchown fchownat fremovexattr fsetxattr futimesat lchown lremovexattr lsetxattr
    removexattr setxattr truncate utime utimensat utimes
""".split()  # noqa: SIM905  (Landlock does not cover these)


class Jail:
    """The isolation of one slot. Made in the slot; `fork` and `confine` make it bind one run."""

    def __init__(self, tier: str, scratch: str) -> None:
        """Enter the tier; `scratch` is an existing empty folder outside. Raises OSError where the kernel refuses."""
        self.tier = tier
        self.folder = "/tmp" if tier == "namespaces" else scratch
        self._slot = os.pidfd_open(os.getpid())
        self._uid: int | None = None
        if tier == "namespaces":
            self._enter_namespaces()
            self._filter = syscalls.seccomp_filter(_REFUSED)
        elif tier == "process":
            readable = [path for path in _readable() if os.path.exists(path)]
            self._ruleset = syscalls.landlock_ruleset(readable, _DEVICES, scratch)
            self._filter = syscalls.seccomp_filter(_REFUSED + _REFUSED_ON_HOST_FILES)
        tempfile.tempdir = self.folder
        os.chdir(self.folder)

    def _enter_namespaces(self) -> None:
        flags = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
        uid, gid = os.geteuid(), os.getegid()
        try:
            syscalls.unshare(flags)
            self._uid = NOBODY if uid == 0 else None
        except PermissionError:
            syscalls.unshare(flags | syscalls.CLONE_NEWUSER)
            for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
        syscalls.mount("none", "/", "none", syscalls.MS_REC | syscalls.MS_PRIVATE)
        guarded = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("jail", _ROOT, "tmpfs", guarded, "size=1m,mode=755")
        bound: list[str] = []
        for path in _readable():
            if os.path.exists(path) and not any(path.startswith(f"{other}/") for other in bound):
                bound += [] if os.path.islink(path) else [path]
                _bind(path)
        for path in _DEVICES:
            os.makedirs(_ROOT + os.path.dirname(path), exist_ok=True)
            open(_ROOT + path, "w").close()
            syscalls.mount(path, _ROOT + path, "none", syscalls.MS_BIND)
        os.mkdir(f"{_ROOT}/tmp")
        syscalls.pivot_to(_ROOT)
        syscalls.mount("none", "/", "none", syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | guarded)
        self._mount_tmp()

    def _mount_tmp(self) -> None:
        guarded = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("tmp", "/tmp", "tmpfs", guarded, f"size={TMP_BYTES},nr_inodes=10000,mode=1777")

    def fork(self) -> int:
        """Fork one run; 0 in the child. In the namespaces tier the child is alone with its own process ids."""
        return syscalls.fork_into_new_pids() if self.tier == "namespaces" else os.fork()

    def confine(self, cpu_seconds: float, memory_bytes: int) -> None:
        """In the child: give up everything, for good. Raises OSError, after which the child must not go on."""
        os.setsid()
        limits = {
            resource.RLIMIT_CPU: int(cpu_seconds) + 2,  # the slot watches the clock more finely
            resource.RLIMIT_AS: memory_bytes,
            resource.RLIMIT_FSIZE: FILE_BYTES,
            resource.RLIMIT_NOFILE: OPEN_FILES,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_MEMLOCK: 0,
        }
        for kind, value in limits.items():
            hard = resource.getrlimit(kind)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (bound, bound))
        if self._uid is not None:
            os.setgroups([])
            os.setresgid(self._uid, self._uid, self._uid)
            os.setresuid(self._uid, self._uid, self._uid)
        syscalls.harden(signal.SIGKILL)  # after the change of uid, which clears the death signal
        if select.select([self._slot], [], [], 0)[0]:  # the slot died before that
            os._exit(1)
        if self.tier != "unsafe":
            syscalls.drop_capabilities()
            if self.tier == "process":
                syscalls.landlock_restrict(self._ruleset)
            syscalls.seccomp_restrict(self._filter)

    def clean(self) -> None:
        """Empty the scratch folder after a run, whatever the run left in it."""
        if self.tier == "namespaces":
            if os.listdir("/tmp"):
                os.chdir("/")
                syscalls.unmount("/tmp")
                self._mount_tmp()
                os.chdir("/tmp")
        else:
            empty_folder(self.folder)


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


def _readable() -> list[str]:
    """What an interpreter may need after it has started: shared libraries and its standard library."""
    return list(dict.fromkeys([*_LIBRARIES, *(path for path in sys.path if path.startswith("/"))]))


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
    try:
        empty_folder(folder)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        os.rmdir(folder)

"""Runs a command as systemd does under SystemCallFilter=: what is not in the
file of system calls that the first argument names fails with EPERM."""
import ctypes
import os
import sys

seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
seccomp.seccomp_init.restype = ctypes.c_void_p
seccomp.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
seccomp.seccomp_load.argtypes = [ctypes.c_void_p]

ALLOW, EPERM = 0x7FFF0000, 0x00050000 | 1
context = seccomp.seccomp_init(EPERM)
for name in open(sys.argv[1]).read().split():
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        seccomp.seccomp_rule_add(context, ALLOW, number, 0)
failed = seccomp.seccomp_load(context)
if failed:
    sys.exit("the filter cannot be loaded: " + os.strerror(-failed))
os.execvp(sys.argv[2], sys.argv[2:])

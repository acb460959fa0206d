using System.Diagnostics;
using System.Runtime.InteropServices;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Linux.Tests;

/// <summary>The C structures of this project, against the C headers of the system: gcc must agree on every size and offset.</summary>
public sealed class LayoutTests
{
    [Fact]
    public void Structures_are_laid_out_as_in_the_headers()
    {
        List<string> asserts =
        [
            .. Check<SockFilter>("struct sock_filter", ("<Code>k__BackingField", "code"), ("<JumpTrue>k__BackingField", "jt"),
                ("<JumpFalse>k__BackingField", "jf"), ("<Operand>k__BackingField", "k")),
            .. Check<SockFprog>("struct sock_fprog", ("Length", "len"), ("Filter", "filter")),
            .. Check<SeccompData>("struct seccomp_data", ("Number", "nr"), ("Architecture", "arch"), ("InstructionPointer", "instruction_pointer"),
                ("Arguments", "args")),
            .. Check<SeccompNotification>("struct seccomp_notif", ("Id", "id"), ("ThreadId", "pid"), ("Flags", "flags"), ("Data", "data")),
            .. Check<SeccompResponse>("struct seccomp_notif_resp", ("Id", "id"), ("Value", "val"), ("Error", "error"), ("Flags", "flags")),
            .. Check<SeccompAddFd>("struct seccomp_notif_addfd", ("Id", "id"), ("Flags", "flags"), ("SourceFd", "srcfd"), ("NewFd", "newfd"),
                ("NewFdFlags", "newfd_flags")),
            .. Check<DescriptorControl>("struct { struct cmsghdr h; int fd; }", ("Length", "h.cmsg_len"), ("Level", "h.cmsg_level"),
                ("Type", "h.cmsg_type"), ("Descriptor", "fd")),
            .. Check<CredentialsControl>("struct { struct cmsghdr h; struct ucred c; }", ("Length", "h.cmsg_len"), ("Level", "h.cmsg_level"),
                ("Type", "h.cmsg_type"), ("ProcessId", "c.pid"), ("UserId", "c.uid"), ("GroupId", "c.gid")),
            "SECCOMP_IOCTL_NOTIF_RECV == 0xC0502100", "SECCOMP_IOCTL_NOTIF_SEND == 0xC0182101", "SECCOMP_IOCTL_NOTIF_ADDFD == 0x40182103",
            "SECCOMP_RET_USER_NOTIF == 0x7fc00000", "SECCOMP_RET_ALLOW == 0x7fff0000", "AUDIT_ARCH_X86_64 == 0xC000003E",
            "SYS_seccomp == 317", "SYS_pidfd_open == 434", "SYS_pidfd_getfd == 438", "SIOCOUTQ == 0x5411", "SIOCGSKNS == 0x894C",
            "NS_GET_USERNS == 0xb701", "NS_GET_PARENT == 0xb702", "NS_GET_OWNER_UID == 0xb704",
        ];
        string program = """
            #define _GNU_SOURCE
            #include <stddef.h>
            #include <linux/audit.h>
            #include <linux/filter.h>
            #include <linux/nsfs.h>
            #include <linux/seccomp.h>
            #include <linux/sockios.h>
            #include <asm/ioctls.h>
            #include <sys/ioctl.h>
            #include <sys/socket.h>
            #include <sys/syscall.h>

            """ + string.Join('\n', asserts.Select(a => $"_Static_assert({a}, \"\");"));
        ProcessStartInfo start = new("gcc", ["-fsyntax-only", "-x", "c", "-"]) { RedirectStandardInput = true, RedirectStandardError = true };
        using System.Diagnostics.Process gcc = System.Diagnostics.Process.Start(start)!;
        gcc.StandardInput.Write(program);
        gcc.StandardInput.Close();
        string errors = gcc.StandardError.ReadToEnd();
        gcc.WaitForExit();
        Assert.True(gcc.ExitCode == 0, errors);
    }

    private static IEnumerable<string> Check<T>(string type, params (string Ours, string Theirs)[] fields)
        where T : struct =>
        [
            $"sizeof({type}) == {Marshal.SizeOf<T>()}",
            .. fields.Select(f => $"offsetof({type}, {f.Theirs}) == {Marshal.OffsetOf<T>(f.Ours)}"),
        ];
}

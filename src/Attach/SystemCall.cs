namespace Xfrmd.Attach;

/// <summary>Numbers of the system calls that we look at: arch/x86/entry/syscalls/syscall_64.tbl.</summary>
internal static class SystemCall
{
    /// <summary><c>AUDIT_ARCH_X86_64</c>.</summary>
    public const uint Architecture = 0xC000003E;

    public const int Read = 0, ReadV = 19, Ioctl = 16, Accept = 43, Shutdown = 48, Listen = 50, Accept4 = 288;
    public const int Write = 1, Open = 2, Stat = 4, LStat = 6, WriteV = 20, Access = 21, Dup = 32, Socket = 41, Connect = 42, SendTo = 44;
    public const int RecvFrom = 45, SendMsg = 46, RecvMsg = 47, Bind = 49, GetSockName = 51, GetPeerName = 52, SetSockOpt = 54;
    public const int GetSockOpt = 55, Fcntl = 72, Creat = 85, OpenAt = 257, NewFStatAt = 262, FAccessAt = 269, RecvMMsg = 299, SendMMsg = 307;
    public const int Unshare = 272, SetNs = 308;
    public const int StatX = 332, OpenAt2 = 437, FAccessAt2 = 439;
}

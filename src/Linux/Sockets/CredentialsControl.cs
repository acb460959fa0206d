using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Sockets;

/// <summary><c>struct cmsghdr</c> with <c>struct ucred</c> (SCM_CREDENTIALS): CMSG_LEN 28, CMSG_SPACE 32.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CredentialsControl
{
    public ulong Length;
    public int Level;
    public int Type;
    public int ProcessId;
    public uint UserId;
    public uint GroupId;
    private readonly int _pad0;
}

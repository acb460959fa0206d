using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Sockets;

/// <summary><c>struct cmsghdr</c> with one descriptor (SCM_RIGHTS): CMSG_LEN 20, CMSG_SPACE 24.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct DescriptorControl
{
    public ulong Length;
    public int Level;
    public int Type;
    public int Descriptor;
    private readonly int _pad0;
}

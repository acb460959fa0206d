using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sockaddr_in6</c>, linux/in6.h: 28 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public struct SockaddrIn6
{
    public ushort Family;
    public Be16 Port;
    public uint FlowInfo;
    public XfrmAddress Address;
    public uint ScopeId;
}

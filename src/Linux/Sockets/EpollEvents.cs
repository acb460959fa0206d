namespace Xfrmd.Linux.Sockets;

/// <summary><c>EPOLL*</c> event bits.</summary>
[Flags]
public enum EpollEvents : uint
{
    None = 0,
    In = 0x1,
    Out = 0x4,
    Error = 0x8,
    HangUp = 0x10,
    EdgeTriggered = 0x80000000,
}

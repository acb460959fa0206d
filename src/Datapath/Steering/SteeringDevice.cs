using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// A TUN device and what is known of the packets that it brings: the mark and the interface of the policies that lead into it, or the
/// if_id that it stands for, or the sockets. A TUN tells none of them of a packet, so the flow of what is read here takes them from this.
/// </summary>
public sealed class SteeringDevice(TunDevice tun, uint ifId, XfrmMark mark, int outputInterface, int deviceClass) : IDisposable
{
    public TunDevice Tun { get; } = tun;

    /// <summary>Gives what is written to it a mark; null: nothing can.</summary>
    public TunMark? Marker { get; init; }

    public uint IfId { get; } = ifId;

    public XfrmMark Mark { get; } = mark;

    /// <summary>The interface that routing had chosen (selector ifindex); 0: any.</summary>
    public int OutputInterface { get; } = outputInterface;

    /// <summary>The class number, -1 for the device of an if_id.</summary>
    public int DeviceClass { get; } = deviceClass;

    /// <summary>The sockets whose packets it brings; null: any.</summary>
    public SocketClass? Sockets { get; init; }

    /// <summary>A program made it (<c>ip link add … type xfrm</c>): whether it is up, and how long it lives, is the program's business.</summary>
    public bool IsUsers { get; set; }

    public void Dispose()
    {
        Marker?.Dispose();
        Tun.Dispose();
    }
}

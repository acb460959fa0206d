using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;

namespace Xfrmd.Datapath.Engine;

public sealed partial class NamespaceDatapath
{
    private static readonly Action<SecurityAssociation> Unsent = static _ => { };
    private bool _sendsKeepalives;

    /// <summary>
    /// From the first SA on that asks for NAT keepalives they leave through sockets of their own, used by whichever thread holds the namespace's
    /// gate. Under the gate.
    /// </summary>
    private void SendKeepalives()
    {
        const int SendBuffer = 1 << 16;
        if (_sendsKeepalives)
        {
            return;
        }
        (SafeFileHandle v4, SafeFileHandle? v6) = NetworkNamespace.Run(_netns, () => OpenRawSenders(SendBuffer));
        _resources.Add(v4);
        if (v6 is not null)
        {
            _resources.Add(v6);
        }
        WirePort wire = new(v4, v6, _udpSockets, _options.Steering.Marks);
        byte[] packet = PinnedArray.Create(UdpEncapsulation.MaxKeepalive);
        _sendsKeepalives = true;
        _space.SendKeepalive = sa =>
        {
            int length = UdpEncapsulation.WriteKeepalive(packet, sa);
            wire.Add(new PacketSlot(packet, 0, length, 0, packet.Length) { Mark = sa.SetMark.Apply(0) }, inUdp: false);
            wire.Flush();
        };
    }
}

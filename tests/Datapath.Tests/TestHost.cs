using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests;

/// <summary>A host whose addresses are those that a test names; by default all.</summary>
internal sealed class TestHost : IInboundHost
{
    public Func<XfrmAddress, bool> Local { get; set; } = static _ => true;
    public HashSet<uint> Interfaces { get; } = [];

    public bool IsLocal(in XfrmAddress daddr, ushort family) => Local(daddr);

    public bool HasInterface(uint ifId) => Interfaces.Contains(ifId);

    public bool ChecksEachTunnel => Interfaces.Count > 0;

    public bool HasTunnels { get; set; }

    public bool HasTunnelDevice(ushort outerFamily, ushort innerFamily) => HasTunnels;

    public Policy? OfSocket { get; set; }

    public Policy? SocketPolicy(in Flow flow) => OfSocket;
}

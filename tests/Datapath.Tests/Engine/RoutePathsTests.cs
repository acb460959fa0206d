using Xfrmd.Datapath.Engine;
using Xfrmd.Datapath.Ports;
using Xfrmd.Datapath.Tests.Steering;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;

namespace Xfrmd.Datapath.Tests.Engine;

/// <summary>Paths of a real network namespace.</summary>
public sealed class RoutePathsTests : IDisposable
{
    private const uint Ours = 0x80000000, Mark = 5;
    private readonly SteeringLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Theory]
    [InlineData("192.0.2.2", AddressFamily.Inet, "")]
    [InlineData("2001:db8:1::2", AddressFamily.Inet6, "-6")]
    public void A_path_is_that_of_the_packets_mark(string text, ushort family, string option)
    {
        SteeringLab.Run($"ip -n {_lab.Gateway} {option} rule add fwmark {Mark} lookup 55");
        SteeringLab.Run($"ip -n {_lab.Gateway} {option} route add {text} dev eth1 mtu 1300 table 55");
        (RouteQuery query, LocalTable table) = NetworkNamespace.Run(_lab.Netns, static () => (new RouteQuery(), new LocalTable()));
        using (query)
        using (table)
        {
            LocalAddresses addresses = new(table);
            addresses.Refresh();
            RoutePaths paths = new(query, Ours, new MtuEchoes(), new LearnedMtus(_lab.Space, new UdpEncapSockets()), addresses);
            XfrmAddress peer = XfrmAddress.Parse(text);
            Assert.Equal((1500, 1300), (paths.MtuTowards(peer, family), paths.MtuTowards(peer, family, Mark)));
            Assert.NotEqual(paths.OutputInterface(peer, family, 0), paths.OutputInterface(peer, family, Mark));
            Assert.True(paths.IsHere(XfrmAddress.Parse(family == AddressFamily.Inet ? "192.0.2.1" : "2001:db8:1::1"), family));
        }
    }
}

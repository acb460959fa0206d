using Xfrmd.Datapath.Engine;
using Xfrmd.Datapath.Tests.Steering;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;

namespace Xfrmd.Datapath.Tests.Engine;

/// <summary>The addresses of a real network namespace.</summary>
public sealed class LocalAddressesTests : IDisposable
{
    private readonly SteeringLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Theory]
    [InlineData("10.9.0.1", AddressFamily.Inet)]
    [InlineData("2001:db8:9::1", AddressFamily.Inet6)]
    public void An_address_counts_as_soon_as_it_is_there(string text, ushort family)
    {
        using LocalTable table = NetworkNamespace.Run(_lab.Netns, static () => new LocalTable());
        LocalAddresses addresses = new(table);
        addresses.Refresh();
        XfrmAddress address = XfrmAddress.Parse(text);
        Assert.False(addresses.IsLocal(address, family));
        Assert.False(addresses.HasBecomeLocal(address, family));
        SteeringLab.Run($"ip -n {_lab.Gateway} addr add {text}/{(family == AddressFamily.Inet ? 32 : 128)} dev lo");
        Assert.False(addresses.IsLocal(address, family));
        Assert.True(addresses.HasBecomeLocal(address, family));
        Assert.True(addresses.IsLocal(address, family));
    }
}

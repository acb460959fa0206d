using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Process;

namespace Xfrmd.Linux.Tests;

/// <summary>Devices, rules and routes in a network namespace of the test's own.</summary>
public sealed class TunDeviceTests : IDisposable
{
    private static int _count;
    private readonly string _name = string.Create(CultureInfo.InvariantCulture, $"steering-linux-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");
    private readonly SafeFileHandle _netns;
    private readonly RouteClient _routes;

    public TunDeviceTests()
    {
        Run($"ip netns add {_name}");
        _netns = File.OpenHandle("/run/netns/" + _name);
        _routes = NetworkNamespace.Run(_netns, () => new RouteClient());
    }

    public void Dispose()
    {
        _routes.Dispose();
        _netns.Dispose();
        Run($"ip netns del {_name}");
    }

    [Fact]
    public void Devices_take_the_next_free_name_live_in_the_namespace_and_vanish_when_closed()
    {
        using (TunDevice first = Create(new TunOptions { Mtu = 1322 }), second = Create(new TunOptions { Queues = 3 }))
        {
            Assert.Equal(("ipsec0", "ipsec1", 3), (first.Name, second.Name, second.Queues.Count));
            Assert.Equal(TunOffloads.All, first.Offloads);
            _routes.BringUp(first.Ifindex);
            string link = Run($"ip -n {_name} -d link show ipsec0");
            Assert.Contains("mtu 1322", link, StringComparison.Ordinal);
            Assert.Contains("addrgenmode none", link, StringComparison.Ordinal);
            Assert.Contains("vnet_hdr", link, StringComparison.Ordinal);
            Assert.Equal("", Run($"ip -n {_name} addr show ipsec0 | grep inet || true"));
            Assert.Equal("1\n", Run($"ip netns exec {_name} cat /proc/sys/net/ipv4/conf/ipsec0/src_valid_mark"));
            Assert.Equal(first.Ifindex, _routes.FindLink("ipsec0"));
        }
        Assert.Null(_routes.FindLink("ipsec0"));
    }

    [Fact]
    public void Rules_and_routes_of_ours_are_found_and_removed_and_no_others()
    {
        Run($"ip -n {_name} link set lo up");
        Run($"ip -n {_name} rule add pref 201 fwmark 1 lookup 4240");
        Run($"ip -n {_name} route add unreachable 10.0.0.0/8 table 4240");
        string before = State();
        using TunDevice tun = Create(new TunOptions());
        _routes.BringUp(tun.Ifindex);
        _routes.AddUnreachableDefault(4240, uint.MaxValue);
        _routes.AddDefaultRoute(4240, tun.Ifindex, 5);
        _routes.AddRule(new RouteRule(200, RouteRule.ToTable, 4240, 0x40000000, 0xC0000000));
        _routes.AddRule(new RouteRule(200, RouteRule.ToTable, 4240, 0x40000000, 0xC0000000));   // again: no harm
        _routes.AddRule(new RouteRule(201, RouteRule.Goto, 203, InputInterface: tun.Name));
        _routes.AddRule(new RouteRule(203, RouteRule.Nop));
        Assert.Contains("fwmark 0x40000000/0xc0000000 lookup 4240 proto 88", State(), StringComparison.Ordinal);
        Assert.Equal(10, _routes.RemoveOurs());
        Assert.Equal(before, State());
        Assert.Equal(0, _routes.RemoveOurs());
    }

    [Fact]
    public void A_namespace_that_never_had_an_address_gets_its_route_too()
    {
        using TunDevice tun = Create(new TunOptions());
        _routes.BringUp(tun.Ifindex);
        _routes.AddDefaultRoute(4240, tun.Ifindex, 5);
        Assert.Contains("default via 192.0.0.8 dev ipsec0", Run($"ip -n {_name} route show table 4240"), StringComparison.Ordinal);
        Assert.DoesNotContain("192.0.0.8", Run($"ip -n {_name} route show table local"), StringComparison.Ordinal);
        Assert.Equal(2, _routes.RemoveOurs());
    }

    private TunDevice Create(TunOptions options) => NetworkNamespace.Run(_netns, () => TunDevice.Create(options, _routes));

    private string State() => Run($"ip -n {_name} rule; ip -n {_name} -6 rule; ip -n {_name} route show table 4240; ip -n {_name} -6 route show table 4240 2>/dev/null || true");

    private static string Run(string command)
    {
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(
            new ProcessStartInfo("/bin/sh", ["-c", "(" + command + ") 2>&1"]) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, command + "\n" + output);
        return output;
    }
}

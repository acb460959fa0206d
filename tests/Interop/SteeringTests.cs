using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>Surroundings in which steering must hold: strict reverse path filters, one daemon for all, another IKE program, the end of the daemon.</summary>
[Collection(Alone.Name)]
public sealed class SteeringTests(ITestOutputHelper output) : Scenario(output)
{
    private static readonly (string, string)[] Covered = [(Gateways.LeftNet, Gateways.RightNet)];

    [Fact]
    public void Strict_reverse_path_filters_drop_nothing()
    {
        using CharonPair pair = CharonPair.Create(strictReversePath: true);
        Play(pair, () =>
        {
            pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty,
                ("net", Gateways.LeftNet, Gateways.RightNet, string.Empty), ("host", Gateways.LeftAddress, Gateways.RightAddress, string.Empty));
            pair.Left.Initiate("net");
            CarriesAll(pair);
            pair.Left.Initiate("host");
            pair.Net.Left.PingsThrough(Gateways.RightAddress);
            pair.Net.Right.PingsThrough(Gateways.LeftAddress);
            CarriesAll(pair);
        });
    }

    [Fact]
    public void One_daemon_serves_programs_of_several_namespaces()
    {
        using CharonPair pair = CharonPair.Create(shared: true);
        Play(pair, () =>
        {
            pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("net", Gateways.LeftNet, Gateways.RightNet, string.Empty));
            pair.Left.Initiate("net");
            CarriesAll(pair);
            // Each namespace has its own databases, and a third one has empty ones.
            Assert.Contains("dir fwd", pair.LeftDaemon.IpXfrm(pair.Net.Left, "policy"), StringComparison.Ordinal);
            Assert.Contains("dir fwd", pair.LeftDaemon.IpXfrm(pair.Net.Right, "policy"), StringComparison.Ordinal);
            Assert.Equal(string.Empty, pair.LeftDaemon.IpXfrm(pair.Net.Wire, "policy"));
        });
    }

    [Fact]
    public void Charon_systemd_works_the_same_way()
    {
        using CharonPair pair = CharonPair.Create(program: "/usr/sbin/charon-systemd");
        Play(pair, () =>
        {
            pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("net", Gateways.LeftNet, Gateways.RightNet, string.Empty));
            pair.Left.Initiate("net");
            CarriesAll(pair);
            Assert.Contains("loaded plugins: charon-systemd", pair.Left.Log, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void An_orderly_end_leaves_the_machine_as_it_was()
    {
        using CharonPair pair = new();
        Play(pair.Net.Lab, () =>
        {
            pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("net", Gateways.LeftNet, Gateways.RightNet, string.Empty));
            pair.Left.Initiate("net");
            CarriesAll(pair);
            Assert.True(pair.Left.Process.Stop(), "charon ends when it is asked to");
            Assert.Equal(0, pair.Left.Process.ExitCode);
            Assert.True(pair.LeftDaemon.Process.Stop(), "xfrmd ends when it is asked to");
            Assert.Equal(0, pair.LeftDaemon.Process.ExitCode);
            AssertUntouched(pair.Net.Left);
        });
    }

    [Fact]
    public void A_killed_daemon_lets_no_covered_packet_out_and_hangs_no_client()
    {
        using CharonPair pair = new();
        Play(pair.Net.Lab, () =>
        {
            pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("net", Gateways.LeftNet, Gateways.RightNet, string.Empty));
            pair.Left.Initiate("net");
            Wiretap tap = pair.Net.Watch();
            BackgroundProcess flood = pair.Net.LeftHost.Start("ping", Toolbox.Find("ping"), "-n", "-i", "0.002", "-c", "1500", Gateways.RightHostAddress);
            BackgroundProcess own = pair.Net.Left.Start("ping", Toolbox.Find("ping"), "-n", "-i", "0.002", "-c", "1500", "-I", Gateways.LeftLan, Gateways.RightHostAddress);
            Wait.Seconds(1);
            pair.LeftDaemon.Process.Stop("KILL");
            pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
            flood.WaitForExit(TimeSpan.FromSeconds(60));
            own.WaitForExit(TimeSpan.FromSeconds(60));
            // What no policy covers goes on.
            pair.Net.Left.PingsThrough(Gateways.RightAddress);
            // A client gets errors at once, and charon neither hangs nor spins.
            CommandResult ip = pair.Net.Left.Run(TimeSpan.FromSeconds(60), pair.LeftDaemon.Attached(Toolbox.Find("ip"), "xfrm", "state"));
            Assert.NotEqual(0, ip.ExitCode);
            // For a second or two it may poll a socket whose callback sleeps (watcher.c), but then it rests.
            Wait.Until(
                () =>
                {
                    double before = pair.Left.Process.ProcessorSeconds;
                    Wait.Seconds(1);
                    return pair.Left.Process.ProcessorSeconds - before < 0.3;
                },
                "charon rests for a second after its kernel has gone",
                TimeSpan.FromSeconds(10));
            tap.Stop().AssertNothingClear(Covered);

            // The next daemon removes what the killed one left, and everything starts anew.
            pair.Left.Process.Stop();
            Assert.True(pair.Left.Process.HasExited, "charon ends when it is asked to, though its kernel has gone");
            // charon 5.9.8 aborts when it ends without a kernel, and leaves its rules.
            pair.Net.Left.Shell("for v in -4 -6; do ip $v rule del pref 220; ip $v route flush table 220; done 2>/dev/null; true");
            XfrmdDaemon next = new(pair.Net.Left, pair.Net.Lab.Folder, "xfrmd-2");
            Assert.Equal(string.Empty, next.IpXfrm(pair.Net.Left, "policy"));
            Charon again = new(pair.Net.Left, next, pair.Net.Lab.Folder);
            again.Load(Swanctl.File(Swanctl.Connection("site", Gateways.LeftAddress, Gateways.RightAddress, string.Empty, Swanctl.Child("net", Gateways.LeftNet, Gateways.RightNet))));
            again.Initiate("net");
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            again.AssertNoKernelErrors();
            Assert.True(again.Process.Stop());
            Assert.True(next.Process.Stop());
            AssertUntouched(pair.Net.Left);
        });
    }

    [Fact]
    public void What_a_policy_covers_by_its_translated_source_alone_is_protected_and_never_passes_in_clear()
    {
        using CharonPair pair = new();
        Play(pair.Net.Lab, () =>
        {
            Host gateway = pair.Net.Left;
            gateway.Nft($$"""
                table ip nat { chain post { type nat hook postrouting priority 100; ip saddr {{Gateways.LeftHostAddress}} oifname "wan" snat to {{Gateways.LeftLan}}; }; }
                """);
            pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("own", Gateways.LeftLan + "/32", Gateways.RightNet, string.Empty));
            pair.Left.Initiate("own");
            Wiretap tap = pair.Net.Watch();
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress, size: 4000);
            gateway.PingsThrough(Gateways.RightHostAddress, from: Gateways.LeftLan);
            Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "5M");
            Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "5M", "-R");
            tap.Stop().AssertRawEsp(1000).AssertNothingClear(Covered);

            tap = pair.Net.Watch();
            BackgroundProcess flood = pair.Net.LeftHost.Start("ping", Toolbox.Find("ping"), "-n", "-i", "0.002", "-c", "1500", Gateways.RightHostAddress);
            Wait.Seconds(1);
            pair.LeftDaemon.Process.Stop("KILL");
            flood.WaitForExit(TimeSpan.FromSeconds(60));
            pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
            tap.Stop().AssertNothingClear(Covered);
        });
    }

    private static void CarriesAll(CharonPair pair)
    {
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
        pair.Net.Left.PingsThrough(Gateways.RightHostAddress);
        pair.Net.Right.PingsThrough(Gateways.LeftLan);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "3M");
        tap.Stop().AssertRawEsp(24).AssertNothingClear(Covered);
    }

    private static void AssertUntouched(Host host)
    {
        string ip = Toolbox.Find("ip");
        Assert.DoesNotContain("fwmark", host.Do(ip, "rule"), StringComparison.Ordinal);
        Assert.DoesNotContain("fwmark", host.Do(ip, "-6", "rule"), StringComparison.Ordinal);
        Assert.DoesNotContain("unreachable default", host.Do(ip, "route", "show", "table", "all"), StringComparison.Ordinal);
        Assert.DoesNotContain("tun", host.Do(ip, "-br", "link", "show", "type", "tun"), StringComparison.Ordinal);
        Assert.Equal(string.Empty, host.Do(Toolbox.Find("nft"), "list", "ruleset"));
    }
}

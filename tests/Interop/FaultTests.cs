using System.Diagnostics;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>A kernel that fails on demand: charon finds an error, a slow answer, and no ACQUIRE, and goes on where it can.</summary>
public sealed class FaultTests(CharonPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<CharonPair>
{
    [Fact]
    public void An_sa_that_is_refused_ends_one_attempt_and_not_the_next()
    {
        using CharonPair own = CharonPair.Create();   // its charon complains of the kernel, as it should
        Play(own.Net.Lab, () =>
        {
            Load(own, "");
            Fault(own, "NEWSA:ENOMEM@1");
            own.Left.Swanctl("--initiate", "--child", "net", "--timeout", "15");
            own.Left.WaitForLog(@"received netlink error: Cannot allocate memory \(12\)");
            own.Left.TerminateAll();
            own.Left.Initiate("net");
            own.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            Assert.Matches(@"NEWSA:ENOMEM@1  1 of \d+ struck", Fault(own));
        });
    }

    [Fact]
    public void A_slow_answer_is_waited_for() => Play(pair, () =>
    {
        Load(pair, "");
        try
        {
            Fault(pair, "ALLOCSPI:delay=1500ms@1");
            long start = Stopwatch.GetTimestamp();
            pair.Left.Initiate("net");
            Assert.True(Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(1.4), "it took its time");
            Assert.Equal("ALLOCSPI:delay=1500ms@1  1 of 1 struck", Fault(pair).Trim());
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        }
        finally
        {
            Fault(pair, "--clear");
        }
    });

    [Fact]
    public void An_acquire_that_is_lost_starts_no_tunnel() => Play(pair, () =>
    {
        Load(pair, "start_action = trap");
        try
        {
            Fault(pair, "event/ACQUIRE:lose");
            pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress, count: 3);
            Assert.Equal(0, pair.Left.CountInLog("creating acquire job"));
            Assert.Matches("event/ACQUIRE:lose  [1-9][0-9]* of ", Fault(pair));
        }
        finally
        {
            Fault(pair, "--clear");
        }
        // The SA that waits for the answer is the only thing that still keeps the next one back.
        pair.LeftDaemon.IpXfrm(pair.Net.Left, "state flush");
        pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);
        pair.Left.WaitForLog("creating acquire job");
        pair.Left.Swanctl("--uninstall", "--child", "net").OrFail();
    });

    [Fact]
    public void An_sa_of_an_hour_ends_in_seconds_by_a_fast_clock()
    {
        using Lab lab = new();
        Play(lab, () =>
        {
            Host host = lab.AddHost("host");
            XfrmdDaemon daemon = new(host, host.RunFolder, "xfrmd", "--clock-rate", "600");
            BackgroundProcess monitor = host.Start("monitor", daemon.Attached(Toolbox.Find("ip"), "xfrm", "monitor", "expire"));
            daemon.IpXfrm(host, "state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 mode tunnel limit time-soft 1800 limit time-hard 3600 aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128");
            Assert.Contains("0x00000100", daemon.IpXfrm(host, "state"), StringComparison.Ordinal);
            Wait.Until(() => monitor.Log.Contains("hard 0", StringComparison.Ordinal) && monitor.Log.Contains("hard 1", StringComparison.Ordinal), "it is told of both limits");
            Assert.Equal("", daemon.IpXfrm(host, "state"));
        });
    }

    private static void Load(CharonPair pair, string options) => pair.Load(Gateways.LeftAddress, Gateways.RightAddress, "", ("net", Gateways.LeftNet, Gateways.RightNet, options));

    private static string Fault(CharonPair pair, params string[] arguments) => pair.Net.Left.Do([Toolbox.Xfrmd, "fault", .. arguments, "--socket", pair.LeftDaemon.Socket]);
}

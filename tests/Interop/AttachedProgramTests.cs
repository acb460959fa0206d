using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>Programs of all kinds below <c>xfrmd run</c>, and several at a time.</summary>
[Collection(Alone.Name)]
public sealed class AttachedProgramTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    private const string DumpInPython = """
        import socket, struct
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6)
        s.bind((0, 0))
        s.send(struct.pack("=IHHII", 16, 0x15, 0x301, 7, 0))
        count = 0
        while True:
            data, (port, groups) = s.recvfrom(65536)
            assert port == 0, port
            while data:
                length, kind, flags, seq, pid = struct.unpack_from("=IHHII", data)
                assert seq == 7
                if kind == 3:
                    print(count, "policies", "pid", s.getsockname()[0] > 0)
                    raise SystemExit(count != 3)
                count += kind == 0x13
                data = data[(length + 3) & ~3:]
        """;

    private const string DumpInC = """
        #include <sys/socket.h>
        #include <linux/netlink.h>
        #include <linux/xfrm.h>
        #include <string.h>
        #include <unistd.h>
        int main(void) {
            int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM), count = 0;
            struct sockaddr_nl a = { .nl_family = AF_NETLINK };
            struct { struct nlmsghdr h; } q = { { 16, XFRM_MSG_GETPOLICY, NLM_F_REQUEST | NLM_F_DUMP, 9, 0 } };
            static char buffer[65536];
            if (fd < 0 || bind(fd, (void *)&a, sizeof a) || sendto(fd, &q, sizeof q, 0, (void *)&a, sizeof a) != sizeof q) return 100;
            for (;;) {
                socklen_t l = sizeof a;
                int n = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&a, &l);
                if (n <= 0 || l != sizeof a || a.nl_family != AF_NETLINK || a.nl_pid) return 101;
                for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
                    if (h->nlmsg_type == NLMSG_DONE) return count;
                    count += h->nlmsg_type == XFRM_MSG_NEWPOLICY;
                }
            }
        }
        """;

    [Fact]
    public void What_a_namespace_holds_stays_while_it_is_mounted_where_only_some_see_it() => Play(pair, () =>
    {
        // `ip netns` as scripts use it under `ip netns exec`: nobody lives there, and the mount is in this shell's view alone.
        string told = pair.Net.Left.Do(pair.LeftDaemon.Attached(
            "/bin/sh", "-c", "ip netns add within && ip -n within xfrm policy add src 10.9.0.0/16 dst 10.8.0.0/16 dir out && sleep 8 && ip -n within xfrm policy; ip netns del within"));
        Assert.Contains("src 10.9.0.0/16 dst 10.8.0.0/16", told, StringComparison.Ordinal);
    });

    [Fact]
    public void A_python_program_reads_the_policies() => Play(pair, () =>
    {
        AddThreePolicies();
        Assert.Equal("3 policies pid True\n", pair.Net.Left.Do(pair.LeftDaemon.Attached(Toolbox.Find("python3"), "-c", DumpInPython)));
        pair.Flush();
    });

    [Fact]
    public void A_static_program_reads_the_policies() => Play(pair, () =>
    {
        string source = Path.Combine(pair.Net.Lab.Folder, "dump.c"), program = Path.Combine(pair.Net.Lab.Folder, "dump");
        File.WriteAllText(source, DumpInC);
        Command.Run([Toolbox.Find("gcc"), "-static", "-o", program, source]).OrFail();
        AddThreePolicies();
        Assert.Equal(3, pair.Net.Left.Run(pair.LeftDaemon.Attached(program)).ExitCode);
        pair.Flush();
    });

    [Fact]
    public void Many_programs_at_a_time_and_their_children_are_served() => Play(pair, () =>
    {
        AddThreePolicies();
        string ip = Toolbox.Find("ip");
        string text = pair.Net.Left.Do(pair.LeftDaemon.Attached(
            "/bin/sh", "-c", $"for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ({ip} xfrm policy | grep -c ^src) & done; wait"));
        Assert.Equal(string.Concat(Enumerable.Repeat("3\n", 12)), text);
        pair.Flush();
    });

    [Fact]
    public void A_monitor_sees_what_others_do_and_a_dead_client_leaves_the_databases() => Play(pair, () =>
    {
        BackgroundProcess monitor = pair.Net.Left.Start("ip-monitor", pair.LeftDaemon.Attached(Toolbox.Find("ip"), "xfrm", "monitor"));
        Wait.Seconds(0.5);
        AddThreePolicies();
        monitor.WaitForLog("10.2.3.0/24");
        monitor.Stop("KILL");
        Assert.Contains("10.2.3.0/24", pair.LeftDaemon.IpXfrm(pair.Net.Left, "policy"), StringComparison.Ordinal);
        pair.Flush();
    });

    [Fact]
    public void Socket_calls_are_answered_as_by_the_kernel_beneath_save_where_compat_says() => Play(pair, () =>
    {
        string[] probes = [Toolbox.Find("unshare"), "-n", Toolbox.Find("python3"), Recording.PathOf("netlink-probes.py")];
        string[] kernel = Recording.Lines(pair.Net.Left.Do(probes)), xfrmd = Recording.Lines(pair.Net.Left.Do(pair.LeftDaemon.Attached(probes)));
        Assert.True(kernel.Length > 300, "Too few probes: " + kernel[^1]);
        Assert.DoesNotContain(kernel, static line => line.StartsWith("failed", StringComparison.Ordinal));
        string compat = File.ReadAllText(Path.Combine(Repository.Root, "docs", "compat.md"));
        List<string> unlisted = [], listed = [];
        foreach ((string theirs, string ours) in kernel.Zip(xfrmd))
        {
            bool known = compat.Contains($"| `probe/{theirs.Split(": ")[0]}` |", StringComparison.Ordinal);
            if (known != (theirs != ours))
            {
                (known ? listed : unlisted).Add($"kernel: {theirs}\nxfrmd:  {ours}");
            }
        }
        Assert.Equal(kernel.Length, xfrmd.Length);
        Assert.True(unlisted.Count == 0, "Answered otherwise:\n" + string.Join('\n', unlisted));
        Assert.True(listed.Count == 0, "Listed in docs/compat.md, but answered alike:\n" + string.Join('\n', listed));
    });

    private const string SocketPolicy = """
        import socket, struct, subprocess
        def listed(): return subprocess.run(["ip", "xfrm", "policy", "list"], capture_output=True, text=True, check=True).stdout.count("socket ")
        selector = bytes(40) + struct.pack("=HBBB3xiI", socket.AF_INET, 0, 0, 0, 0, 0)
        policy = selector + b"\xff" * 32 + bytes(64) + struct.pack("=IIBBBB4x", 0, 0, 1, 0, 0, 0)
        one, two = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for s in (one, two): s.setsockopt(socket.IPPROTO_IP, 17, policy)
        print(listed()); again = one.dup(); one.close(); print(listed()); again.close(); print(listed())
        two.setsockopt(socket.IPPROTO_IP, 17, None, 0); print(listed())
        """;

    [Fact]
    public void A_socket_takes_its_policies_with_it_when_nobody_has_it_open_any_more() => Play(pair, () =>
        Assert.Equal("2\n2\n1\n0\n", pair.Net.Left.Do(pair.LeftDaemon.Attached(Toolbox.Find("python3"), "-c", SocketPolicy))));

    /// <summary><c>__xfrm_init_state</c> looks at the sysctl of the namespace for each SA that may be for the way out.</summary>
    [Fact]
    public void Without_path_MTU_discovery_in_the_namespace_no_outbound_SA_has_it() => Play(pair, () =>
    {
        foreach (int value in new[] { 0, 1, 3, 0 })
        {
            pair.Net.Left.Do("sh", "-c", $"echo {value} > /proc/sys/net/ipv4/ip_no_pmtu_disc");
            pair.LeftDaemon.IpXfrm(pair.Net.Left, $"state add src 10.9.9.1 dst 10.9.9.2 proto esp spi 0x999 mode tunnel {ManualPair.Gcm128}");
            pair.LeftDaemon.IpXfrm(pair.Net.Left, $"state add src fd99::1 dst fd99::2 proto esp spi 0x999 mode tunnel {ManualPair.Gcm128}");
            string[] flagged = [.. Recording.Lines(pair.LeftDaemon.IpXfrm(pair.Net.Left, "state")).Where(static line => line.Contains("nopmtudisc", StringComparison.Ordinal))];
            Assert.Equal(value == 0 ? 0 : 1, flagged.Length);
            pair.Flush();
        }
    });

    private const string MarkedTraffic = """
        import socket, subprocess, sys, time
        def run(line): subprocess.run(line.split(), check=True)
        def waited(): return int(next(l for l in open("/proc/net/xfrm_stat") if "OutNoStates" in l).split()[1])
        run("ip link add d0 type veth peer name d1"); run("ip addr add 10.0.0.1/24 dev d0"); run("ip link set d0 up"); run("ip link set d1 up")
        marks = [int(m) for m in sys.argv[1:]]
        for number, mark in enumerate(marks):
            run(f"ip xfrm policy add src 10.0.0.1 dst 10.0.0.2 dir out priority {10 if mark else 20} " + (f"mark {mark} mask 0xff " if mark else "") + "tmpl src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel")
            if number == 0: time.sleep(0.2)   # so that packets flow before the others come
        for number, mark in enumerate(marks):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if mark: s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            s.sendto(b"x", ("10.0.0.2", 9))
            end = time.monotonic() + 20
            while waited() <= number and time.monotonic() < end: time.sleep(0.02)
        print(waited())
        """;

    /// <summary>Each mark has a TUN of its own, and each TUN somebody who reads it, whichever was there first.</summary>
    [Theory]
    [InlineData("0", "1", "2")]
    [InlineData("1", "0", "2")]
    public void Packets_reach_the_policies_of_every_mark(params string[] marks) => Play(pair, () =>
        Assert.Equal("3\n", pair.Net.Left.Do(pair.LeftDaemon.Attached([Toolbox.Find("unshare"), "-n", Toolbox.Find("python3"), "-c", MarkedTraffic, .. marks]))));

    [Fact]
    public void The_exit_code_and_signals_are_the_programs_own() => Play(pair, () =>
    {
        Assert.Equal(37, pair.Net.Left.Run(pair.LeftDaemon.Attached("/bin/sh", "-c", "exit 37")).ExitCode);
        Assert.Equal(137, pair.Net.Left.Run("/bin/sh", "-c", string.Join(' ', pair.LeftDaemon.Attached("/bin/sh", "-c", "'kill -KILL $$'")) + "; exit $?").ExitCode);
        string plain = pair.Net.Left.Do(Toolbox.Find("grep"), "^Sig[^Q]", "/proc/self/status"), attached = pair.Net.Left.Do(pair.LeftDaemon.Attached(Toolbox.Find("grep"), "^Sig[^Q]", "/proc/self/status"));
        Assert.Equal(plain, attached);
    });

    private void AddThreePolicies() => pair.LeftDaemon.IpXfrmBatch(pair.Net.Left, """
        policy add src 10.1.1.0/24 dst 10.2.1.0/24 dir out action block
        policy add src 10.1.2.0/24 dst 10.2.2.0/24 dir out action block
        policy add src 10.1.3.0/24 dst 10.2.3.0/24 dir out action block
        """);
}

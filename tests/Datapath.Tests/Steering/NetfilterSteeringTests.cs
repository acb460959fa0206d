using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests.Steering;

/// <summary>Real packets through a real kernel's routing, in network namespaces with strict reverse path filters.</summary>
public sealed class NetfilterSteeringTests : IDisposable
{
    private readonly SteeringLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Theory]
    [InlineData("192.0.2.1/32", "10.2.0.0/16", "10.2.0.9", "10.3.0.9")]
    [InlineData("2001:db8:1::1/128", "2001:db8:b::/64", "2001:db8:b::9", "2001:db8:c::9")]
    public void What_this_host_sends_goes_to_the_tun_if_covered_and_out_in_clear_if_not(string source, string destination, string covered, string other)
    {
        _lab.Add(Policies.Out(source, destination));
        Func<string[]> wire = _lab.Capture("icmp or icmp6[0] == 128");
        _lab.Ping(_lab.Gateway, covered);
        _lab.Ping(_lab.Gateway, other);
        byte[] packet = Assert.Single(SteeringLab.Read(_lab.Device));
        Assert.Equal((source.Split('/')[0], covered), (TestPackets.Source(packet), TestPackets.Destination(packet)));
        Assert.Contains(other, Assert.Single(wire()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.1.0.0/16", "10.2.0.0/16", "10.2.0.9", "10.3.0.9", false)]
    [InlineData("10.1.0.0/16", "10.2.0.0/16", "10.2.0.9", "10.3.0.9", true)]
    [InlineData("2001:db8:a::/64", "2001:db8:b::/64", "2001:db8:b::9", "2001:db8:c::9", false)]
    public void What_it_forwards_does_too(string source, string destination, string covered, string other, bool srcValidMark)
    {
        if (srcValidMark)
        {
            SteeringLab.Run($"ip netns exec {_lab.Gateway} sysctl -qw net.ipv4.conf.all.src_valid_mark=1");
        }
        _lab.Add(Policies.Out(source, destination));
        Func<string[]> wire = _lab.Capture("icmp or icmp6[0] == 128");
        _lab.Ping(_lab.Lan, covered);
        _lab.Ping(_lab.Lan, other);
        byte[] packet = Assert.Single(SteeringLab.Read(_lab.Device));
        Assert.Equal(covered, TestPackets.Destination(packet));
        Assert.Contains(other, Assert.Single(wire()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.2.0.9", "10.1.0.1", "10.1.0.0/16", "10.2.0.0/16")]
    [InlineData("10.2.0.9", "10.1.0.5", "10.1.0.0/16", "10.2.0.0/16")]
    [InlineData("192.0.2.2", "192.0.2.1", "192.0.2.1/32", "192.0.2.2/32")]
    [InlineData("2001:db8:b::9", "2001:db8:a::1", "2001:db8:a::/64", "2001:db8:b::/64")]
    [InlineData("2001:db8:b::9", "2001:db8:a::5", "2001:db8:a::/64", "2001:db8:b::/64")]
    public void What_comes_out_of_the_tun_reaches_host_and_lan_under_a_strict_reverse_path_filter_and_is_answered_into_it(
        string remote, string local, string source, string destination)
    {
        _lab.Add(Policies.Out(source, destination));
        _lab.Add(Policies.Out(destination, source, direction: PolicyDirection.In));
        _lab.Add(Policies.Out(destination, source, direction: PolicyDirection.Fwd));
        SteeringLab.Write(_lab.Device, TestPackets.Ping(remote, local));
        byte[] answer = Assert.Single(SteeringLab.Read(_lab.Device, 500));
        Assert.Equal((local, remote), (TestPackets.Source(answer), TestPackets.Destination(answer)));
    }

    [Fact]
    public void What_comes_out_of_the_tun_and_is_covered_again_goes_back_into_it()
    {
        _lab.Add(Policies.Out("10.2.0.0/16", "10.3.0.0/16"));
        Func<string[]> wire = _lab.Capture("icmp");
        SteeringLab.Write(_lab.Device, TestPackets.Ping("10.2.0.9", "10.3.0.9"));
        Assert.Equal("10.3.0.9", TestPackets.Destination(Assert.Single(SteeringLab.Read(_lab.Device))));
        Assert.Empty(wire());
    }

    [Fact]
    public void The_order_of_priorities_decides()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16", priority: 30));
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.1.0/24", priority: 20, protect: false));
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.1.1/32", priority: 10, action: PolicyAction.Block));
        Func<string[]> wire = _lab.Capture("icmp");
        Assert.Equal("EPERM", _lab.SendError(_lab.Gateway, "10.2.1.1"));
        _lab.Ping(_lab.Gateway, "10.2.1.2");
        _lab.Ping(_lab.Gateway, "10.2.2.2");
        _lab.Ping(_lab.Lan, "10.2.1.1");
        Assert.Equal("10.2.2.2", TestPackets.Destination(Assert.Single(SteeringLab.Read(_lab.Device))));
        Assert.Contains("10.2.1.2", Assert.Single(wire()), StringComparison.Ordinal);
        Assert.Equal(2, _lab.Steering.ReadCounters()[XfrmCounter.OutPolBlock]);
    }

    [Fact]
    public void What_a_sub_policy_allows_the_main_policies_may_still_protect_or_block()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16", protect: false, type: PolicyType.Sub));
        _lab.Add(Policies.Out("0.0.0.0/0", "0.0.0.0/0", priority: 9, action: PolicyAction.Block, type: PolicyType.Sub));
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.1.0/24"));
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.2.0/24", action: PolicyAction.Block));
        Func<string[]> wire = _lab.Capture("icmp");
        _lab.Ping(_lab.Gateway, "10.2.1.1");
        _lab.Ping(_lab.Lan, "10.2.1.2");
        _lab.Ping(_lab.Gateway, "10.2.3.1");
        Assert.Equal("EPERM", _lab.SendError(_lab.Gateway, "10.2.2.1"));
        Assert.Equal("EPERM", _lab.SendError(_lab.Gateway, "10.3.0.1"));
        Assert.Equal(["10.2.1.1", "10.2.1.2"], SteeringLab.Read(_lab.Device).Select(TestPackets.Destination));
        Assert.Contains("10.2.3.1", Assert.Single(wire()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(PolicyDirection.In, "192.0.2.1", "192.0.2.1/32")]
    [InlineData(PolicyDirection.Fwd, "10.1.0.5", "10.1.0.0/16")]   // Linux asks the main in policies here too
    public void Plaintext_that_a_sub_policy_allows_is_dropped_where_a_main_policy_wants_it_protected(PolicyDirection direction, string destination, string selector)
    {
        _lab.Add(Policies.Out("192.0.2.2/32", selector, direction: direction, protect: false, type: PolicyType.Sub));
        Assert.Equal(0, _lab.Ping(_lab.Peer, destination).Exit);
        _lab.Add(Policies.Out("192.0.2.2/32", selector, direction: PolicyDirection.In));
        Assert.NotEqual(0, _lab.Ping(_lab.Peer, destination).Exit);
    }

    [Fact]
    public void A_selector_of_ports_takes_those_ports_alone()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "192.0.2.2/32", proto: 17, dport: (5000, 0xFFFF)));
        _lab.Add(Policies.Out("0.0.0.0/0", "192.0.2.2/32", sport: (0x1800, 0xFC00)));
        _lab.Add(Policies.Out("2001:db8:1::1/128", "2001:db8:1::2/128", proto: 58, sport: (128, 0xFFFF)));
        Func<string[]> wire = _lab.Capture("udp or icmp6[0] == 128");
        _lab.Python(_lab.Gateway, """
            import socket
            for sport, dport in ((1000, 5000), (1000, 5001), (6144, 9), (7167, 9), (7168, 9)):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", sport)); s.sendto(b"x", ("192.0.2.2", dport)); s.close()
            """);
        _lab.Ping(_lab.Gateway, "2001:db8:1::2");
        List<byte[]> packets = SteeringLab.Read(_lab.Device);
        Assert.Equal([5000, 9, 9, 128], packets.Select(p => p[0] >> 4 == 4 ? (p[22] << 8) | p[23] : p[40]));
        string[] clear = wire();
        Assert.Equal(2, clear.Length);
        Assert.Contains("192.0.2.2.5001", clear[0], StringComparison.Ordinal);
        Assert.Contains("192.0.2.1.7168", clear[1], StringComparison.Ordinal);
    }

    [Fact]
    public void Sockets_with_the_bypass_mark_and_bypass_ports_pass_by_a_policy_for_everything()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "0.0.0.0/0"));
        _lab.Steering.SetBypassPorts([new BypassPort(AddressFamily.Inet, 4500)]);
        Func<string[]> wire = _lab.Capture("udp");
        _lab.Python(_lab.Gateway, """
            import socket
            for port, mark in ((500, -0x80000000), (4500, 0), (501, 0)):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", port)); s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
                s.sendto(b"x", ("192.0.2.2", 9))
            """);
        Assert.Single(SteeringLab.Read(_lab.Device));
        string[] clear = wire();
        Assert.Equal(2, clear.Length);
        Assert.Contains("192.0.2.1.500", clear[0], StringComparison.Ordinal);
        Assert.Contains("192.0.2.1.4500", clear[1], StringComparison.Ordinal);
        _lab.Steering.SetBypassPorts([]);
        _lab.Python(_lab.Gateway, """
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 4500)); s.sendto(b"x", ("192.0.2.2", 9))
            """);
        Assert.Single(SteeringLab.Read(_lab.Device));
    }

    [Fact]
    public void Sockets_of_a_class_have_their_own_policies_before_all_others_both_ways()
    {
        const string send = """
            import socket
            for mark in (0, 0x01000000, 0x02000000):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark | 7); s.bind(("", 5000 + (mark >> 24)))
                try: s.sendto(b"x", ("192.0.2.2", 9))
                except PermissionError: print(mark >> 24)
            """;
        _lab.Add(Policies.Out("0.0.0.0/0", "192.0.2.2/32", action: PolicyAction.Block));
        (SocketClass protects, SocketClass passes) = (_lab.Steering.AddSocketClass()!, _lab.Steering.AddSocketClass()!);
        Assert.Equal((1, 2), (protects.Number, passes.Number));
        _lab.Steering.SetSocketClass(protects, null, Policies.Out("0.0.0.0/0", "0.0.0.0/0"), 7);
        _lab.Steering.SetSocketClass(passes, Policies.Out("0.0.0.0/0", "0.0.0.0/0", direction: PolicyDirection.In), Policies.Out("0.0.0.0/0", "0.0.0.0/0", protect: false), 7);
        SteeringDevice device = Assert.Single(_lab.Steering.Devices, d => d.Sockets == protects);
        Func<string[]> wire = _lab.Capture("udp");
        Assert.Equal("0\n", _lab.Python(_lab.Gateway, send).Output);
        Assert.Equal(5001, Port(Assert.Single(SteeringLab.Read(device))));
        Assert.Contains("192.0.2.1.5002", Assert.Single(wire()), StringComparison.Ordinal);

        // The same class stands for others, and all is written anew.
        _lab.Steering.SetSocketClass(protects, null, Policies.Out("0.0.0.0/0", "0.0.0.0/0", action: PolicyAction.Block), 7);
        _lab.Steering.PoliciesReordered();
        Assert.Equal("0\n1\n", _lab.Python(_lab.Gateway, send).Output);

        // To a socket of the second class comes nothing in clear.
        Assert.Equal("True False\n", _lab.Python(_lab.Gateway, $$"""
            import socket, subprocess
            def ask(mark):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark); s.bind(("192.0.2.1", 5009)); s.settimeout(0.3)
                subprocess.check_call(["ip", "netns", "exec", "{{_lab.Peer}}", "/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"x\", (\"192.0.2.1\", 5009))"])
                try: return s.recv(9) == b"x"
                except socket.timeout: return False
            print(ask(7), ask(0x02000007))
            """).Output);
        Assert.Equal(1, _lab.Steering.ReadCounters()[XfrmCounter.InTmplMismatch]);

        static int Port(byte[] packet) => (packet[20] << 8) | packet[21];
    }

    [Fact]
    public void Plaintext_that_should_have_been_protected_is_dropped_and_counted()
    {
        _lab.Add(Policies.Out("192.0.2.2/32", "192.0.2.1/32", direction: PolicyDirection.In));
        _lab.Add(Policies.Out("192.0.2.2/32", "10.1.0.0/16", direction: PolicyDirection.Fwd));
        _lab.Add(Policies.Out("0.0.0.0/0", "10.1.0.1/32", direction: PolicyDirection.In, action: PolicyAction.Block));
        _lab.Steering.SetBypassPorts([new BypassPort(AddressFamily.Inet, 500)]);
        Func<string[]> lan = _lab.Capture("icmp", _lab.Lan);
        Assert.NotEqual(0, _lab.Ping(_lab.Peer, "192.0.2.1").Exit);
        Assert.NotEqual(0, _lab.Ping(_lab.Peer, "10.1.0.5").Exit);
        Assert.NotEqual(0, _lab.Ping(_lab.Peer, "10.1.0.1").Exit);
        Assert.Equal(0, _lab.Ping(_lab.Peer, "2001:db8:1::1").Exit);
        Assert.Empty(lan());
        IReadOnlyDictionary<XfrmCounter, long> counters = _lab.Steering.ReadCounters();
        Assert.Equal((2, 1), (counters[XfrmCounter.InTmplMismatch], counters[XfrmCounter.InPolBlock]));
        Assert.Equal("ok\n", _lab.Python(_lab.Gateway, """
            import socket, subprocess
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("192.0.2.1", 500)); s.settimeout(3)
            r = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50); r.settimeout(3)
            subprocess.check_call(["ip", "netns", "exec", "PEER", "/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"x\", (\"192.0.2.1\", 500)); socket.socket(socket.AF_INET, socket.SOCK_RAW, 50).sendto(b\"esp\", (\"192.0.2.1\", 0))"])
            s.recv(100); r.recv(100)
            print("ok")
            """.Replace("PEER", _lab.Peer, StringComparison.Ordinal)).Output);
    }

    [Fact]
    public void When_the_tun_vanishes_covered_traffic_is_refused_and_the_rest_goes_on()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16"));
        _lab.Add(Policies.Out("::/0", "2001:db8:b::/64"));
        SteeringLab.Run($"ip -n {_lab.Gateway} route add 10.2.0.0/16 via 192.0.2.2 src 10.1.0.1 table 220");
        SteeringLab.Run($"ip -n {_lab.Gateway} rule add pref 220 lookup 220");
        Func<string[]> wire = _lab.Capture("net 10.2.0.0/16 or net 2001:db8:b::/64 or host 10.3.0.9 or arp host 10.2.0.9");
        _lab.KillDevices();
        Assert.Equal("EHOSTUNREACH", _lab.SendError(_lab.Gateway, "10.2.0.9"));
        Assert.Equal("EHOSTUNREACH", _lab.SendError(_lab.Gateway, "2001:db8:b::9"));
        Assert.Contains("Unreachable", _lab.Ping(_lab.Lan, "10.2.0.9").Output, StringComparison.Ordinal);
        Assert.Contains("nreachable", _lab.Ping(_lab.Lan, "2001:db8:b::9").Output, StringComparison.Ordinal);
        _lab.Ping(_lab.Gateway, "10.2.0.9", "-I eth0");
        _lab.Ping(_lab.Gateway, "10.3.0.9");
        Assert.Contains("10.3.0.9", Assert.Single(wire()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_route_of_another_table_gives_the_source_address_and_nothing_else()
    {
        _lab.Add(Policies.Out("10.1.0.0/16", "10.2.0.0/16"));
        SteeringLab.Run($"ip -n {_lab.Gateway} route add 10.2.0.0/16 via 192.0.2.2 src 10.1.0.1 table 220");
        SteeringLab.Run($"ip -n {_lab.Gateway} rule add pref 220 lookup 220");
        Func<string[]> wire = _lab.Capture("icmp");
        _lab.Ping(_lab.Gateway, "10.2.0.9");
        Assert.Equal("10.1.0.1", TestPackets.Source(Assert.Single(SteeringLab.Read(_lab.Device))));
        Assert.Empty(wire());
    }

    [Fact]
    public void A_socket_bound_to_an_interface_never_sends_in_clear_what_is_covered()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16"));
        _lab.Add(Policies.Out("::/0", "2001:db8:b::/64"));
        Func<string[]> wire = _lab.Capture("net 10.2.0.0/16 or net 2001:db8:b::/64");
        SteeringLab.Run($"ip -n {_lab.Gateway} neigh add 10.2.0.9 lladdr 02:00:00:00:00:01 dev eth0");
        Assert.NotEqual(0, _lab.Ping(_lab.Gateway, "10.2.0.9", "-I eth0").Exit);
        Assert.NotEqual(0, _lab.Ping(_lab.Gateway, "2001:db8:b::9", "-I eth0").Exit);
        Assert.Empty(wire());
    }

    [Fact]
    public void Marks_that_somebody_else_takes_away_the_rules_for_still_do_not_leave()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16"));
        Func<string[]> wire = _lab.Capture("icmp");
        for (int priority = 200; priority < 204; priority++)
        {
            SteeringLab.Run($"ip -n {_lab.Gateway} rule del pref {priority}");
        }
        _lab.Ping(_lab.Gateway, "10.2.0.9");
        _lab.Ping(_lab.Lan, "10.2.0.9");
        Assert.Empty(wire());
    }

    [Fact]
    public void Loopback_and_own_addresses_are_not_steered()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "0.0.0.0/0"));
        _lab.Add(Policies.Out("0.0.0.0/0", "0.0.0.0/0", direction: PolicyDirection.In));
        Assert.Equal(0, _lab.Ping(_lab.Gateway, "127.0.0.1").Exit);
        Assert.Equal(0, _lab.Ping(_lab.Gateway, "10.1.0.1").Exit);
        Assert.Empty(SteeringLab.Read(_lab.Device));
    }

    [Fact]
    public void Default_policy_block_drops_what_no_policy_matches()
    {
        lock (_lab.Space.Gate)
        {
            foreach (PolicyDirection direction in Enum.GetValues<PolicyDirection>())
            {
                _lab.Space.Spd.SetDefault(direction, PolicyAction.Block);
            }
        }
        Assert.Equal("EPERM", _lab.SendError(_lab.Gateway, "192.0.2.2"));
        Assert.Equal(0, _lab.Ping(_lab.Gateway, "127.0.0.1").Exit);
        Assert.NotEqual(0, _lab.Ping(_lab.Peer, "192.0.2.1").Exit);
        Assert.Equal(1, _lab.Steering.ReadCounters()[XfrmCounter.InNoPols]);
        _lab.Add(Policies.Out("1.1.1.1/32", "2.2.2.2/32", direction: PolicyDirection.In));
        Assert.NotEqual(0, _lab.Ping(_lab.Peer, "192.0.2.1").Exit);
        Assert.Equal(2, _lab.Steering.ReadCounters()[XfrmCounter.InNoPols]);
        lock (_lab.Space.Gate)
        {
            foreach (PolicyDirection direction in Enum.GetValues<PolicyDirection>())
            {
                _lab.Space.Spd.SetDefault(direction, PolicyAction.Allow);
            }
        }
        Assert.Equal(0, _lab.Ping(_lab.Gateway, "192.0.2.2").Exit);
    }

    [Theory]
    [InlineData("192.0.2.2", "192.0.2.1", XfrmCounter.InTmplMismatch)]
    [InlineData("2001:db8:1::2", "2001:db8:1::1", XfrmCounter.InTmplMismatch)]
    [InlineData("192.0.2.1", "192.0.2.2", XfrmCounter.OutPolBlock)]
    [InlineData("192.0.2.1", "192.0.2.9", null)]
    public void What_the_rules_drop_is_told_with_its_flow(string source, string destination, XfrmCounter? counter)
    {
        lock (_lab.Space.Gate)
        {
            _lab.Space.Spd.SetDefault(PolicyDirection.Out, PolicyAction.Block);
        }
        _lab.Add(Policies.Out("192.0.2.2/32", "192.0.2.1/32", direction: PolicyDirection.In));
        _lab.Add(Policies.Out("2001:db8:1::2/128", "2001:db8:1::1/128", direction: PolicyDirection.In));
        _lab.Add(Policies.Out("192.0.2.1/32", "192.0.2.2/32", action: PolicyAction.Block));
        using DropWatch watch = _lab.Space.Drops.Watch();
        _lab.Space.Drops.SetBeneath(_lab.Steering.OpenDrops);
        string expected = $"{counter} {source} {destination} {(source.Contains(':', StringComparison.Ordinal) ? IpProtocol.Icmpv6 : IpProtocol.Icmp)}";
        // Among others: the gateway's own multicast reports are dropped too. And the first ping may end before the neighbour is known.
        List<string> told = [];
        for (int attempt = 0; attempt < 20 && !told.Contains(expected); attempt++)
        {
            _lab.Ping(source.EndsWith('1') ? _lab.Gateway : _lab.Peer, destination);
            Assert.Null(_lab.Space.Drops.CollectBeneath());
            while (watch.Reader.TryRead(out DroppedPacket dropped))
            {
                told.Add($"{dropped.Counter} {dropped.Flow.Saddr.ToString(dropped.Flow.Family)} {dropped.Flow.Daddr.ToString(dropped.Flow.Family)} {dropped.Flow.Proto}");
            }
        }
        Assert.Contains(expected, told);
        _lab.Space.Drops.SetBeneath(null);
    }

    [Fact]
    public void One_program_listens_to_what_the_rules_drop()
    {
        using IDropSource first = _lab.Steering.OpenDrops(), second = _lab.Steering.OpenDrops();
        Assert.Null(first.Obstacle);
        Assert.Contains("another program listens", second.Obstacle, StringComparison.Ordinal);
        second.Drain(_ => Assert.Fail("it cannot tell"));
    }

    [Fact]
    public void Policies_with_a_mark_or_an_interface_have_devices_of_their_own()
    {
        List<SteeringDevice> added = [];
        _lab.Steering.DeviceAdded = added.Add;
        int eth0 = int.Parse(_lab.In(_lab.Gateway, "cat /sys/class/net/eth0/ifindex").Output, System.Globalization.CultureInfo.InvariantCulture);
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16", mark: new XfrmMark(7, 0xFF)));
        _lab.Add(Policies.Out("0.0.0.0/0", "10.3.0.0/16", ifindex: eth0));
        _lab.Add(Policies.Out("0.0.0.0/0", "10.4.0.0/16", ifindex: eth0 + 1));
        Assert.Equal([(7u, 0), (0u, eth0), (0u, eth0 + 1)], added.Select(d => (d.Mark.V, d.OutputInterface)));
        Func<string[]> wire = _lab.Capture("icmp");
        _lab.Ping(_lab.Gateway, "10.2.0.9", "-m 7");
        _lab.Ping(_lab.Gateway, "10.2.0.8", "-m 8");
        _lab.Ping(_lab.Gateway, "10.3.0.9");
        _lab.Ping(_lab.Lan, "10.3.0.9");
        _lab.Ping(_lab.Gateway, "10.4.0.9");
        _lab.Ping(_lab.Lan, "10.4.0.9");
        Assert.Equal("10.2.0.9", TestPackets.Destination(Assert.Single(SteeringLab.Read(added[0]))));
        Assert.Equal(2, SteeringLab.Read(added[1]).Count);
        Assert.Empty(SteeringLab.Read(added[2]));
        string[] clear = wire();
        Assert.Equal(3, clear.Length);
        Assert.Contains("10.2.0.8", clear[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_policy_with_an_if_id_is_reached_through_its_device_alone()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16", ifId: 42));
        SteeringDevice device = _lab.Steering.Devices[1];
        Assert.Equal(("xfrm-42", 42u), (device.Tun.Name, device.IfId));
        Func<string[]> wire = _lab.Capture("icmp");
        _lab.Ping(_lab.Gateway, "10.2.0.9");
        SteeringLab.Run($"ip -n {_lab.Gateway} route add 10.2.0.0/16 dev xfrm-42");
        _lab.Ping(_lab.Gateway, "10.2.0.8");
        Assert.Contains("10.2.0.9", Assert.Single(wire()), StringComparison.Ordinal);
        SteeringLab.Write(device, TestPackets.Ping("10.2.0.7", "192.0.2.1"));
        // IPv6 also tells its multicast groups through an interface that it may use.
        Assert.Equal(["10.2.0.8", "10.2.0.7"], SteeringLab.Read(device).Where(p => p[0] >> 4 == 4).Select(TestPackets.Destination));
    }

    [Fact]
    public void Neighbours_are_found_though_a_policy_covers_the_peer_and_everything()
    {
        _lab.Add(Policies.Out("::/0", "::/0"));
        _lab.Add(Policies.Out("::/0", "::/0", direction: PolicyDirection.In));
        _lab.Steering.SetBypassPorts([new BypassPort(AddressFamily.Inet6, 4500)]);
        SteeringLab.Run($"ip -n {_lab.Gateway} -6 neigh flush all");
        SteeringLab.Run($"ip -n {_lab.Peer} -6 neigh flush all");
        Func<string[]> wire = _lab.Capture("udp");
        _lab.Python(_lab.Gateway, """
            import socket, time
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("", 4500)); s.sendto(b"x", ("2001:db8:1::2", 9)); time.sleep(2.5)
            """);
        Assert.Contains("2001:db8:1::2.9", Assert.Single(wire()), StringComparison.Ordinal);
    }

    [Fact]
    public void Changes_of_the_database_follow_at_once()
    {
        Func<string[]> wire = _lab.Capture("icmp");
        Policy policy = _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16"));
        _lab.Ping(_lab.Gateway, "10.2.0.1");
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16", action: PolicyAction.Block));
        _lab.Ping(_lab.Gateway, "10.2.0.2");
        policy = _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16"));
        _lab.Ping(_lab.Gateway, "10.2.0.3");
        _lab.Delete(policy);
        _lab.Ping(_lab.Gateway, "10.2.0.4");
        Assert.Equal(["10.2.0.1", "10.2.0.3"], SteeringLab.Read(_lab.Device).Select(TestPackets.Destination));
        Assert.Contains("10.2.0.4", Assert.Single(wire()), StringComparison.Ordinal);
    }

    [Fact]
    public void Changes_in_a_row_are_written_when_they_settle_whatever_they_undo()
    {
        Policy before = _lab.Add(Policies.Out("0.0.0.0/0", "10.2.9.0/24"));
        lock (_lab.Space.Gate)
        {
            _lab.Space.Observers.BeginRow();
            _lab.Add(Policies.Out("0.0.0.0/0", "10.2.1.0/24"));
            _lab.Add(Policies.Out("0.0.0.0/0", "10.2.2.0/24"));
            Assert.DoesNotContain("10.2.2.0", Set(), StringComparison.Ordinal);
            _lab.Space.Observers.Settle();
            Assert.Contains("10.2.2.0", Set(), StringComparison.Ordinal);
            // A rule and its set that come and go.
            Policy gone = _lab.Add(Policies.Out("0.0.0.0/0", "10.2.3.0/24", action: PolicyAction.Block));
            _lab.Delete(gone);
            _lab.Delete(before);
            _lab.Add(Policies.Out("0.0.0.0/0", "10.2.9.0/24", action: PolicyAction.Block));
            _lab.Add(Policies.Out("0.0.0.0/0", "10.2.9.0/24"));
            // What is just being added has to move behind what comes next.
            _lab.Add(Policies.Out("0.0.0.0/0", "10.2.4.0/24", priority: 9));
            _lab.Add(Policies.Out("0.0.0.0/0", "10.2.5.0/24", priority: 9, action: PolicyAction.Block));
            _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16", priority: 5, protect: false));
            _lab.Space.Observers.EndRow();
        }
        foreach (int network in (ReadOnlySpan<int>)[1, 2, 3, 4, 5, 9])
        {
            _lab.Ping(_lab.Gateway, $"10.2.{network}.1");
        }
        Assert.Equal(["10.2.1.1", "10.2.2.1", "10.2.9.1"], SteeringLab.Read(_lab.Device).Select(TestPackets.Destination));

        string Set() => SteeringLab.Run($"ip netns exec {_lab.Gateway} nft list sets");
    }

    [Fact]
    public void A_new_device_whose_rules_are_refused_comes_with_all_rules_made_anew()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16"));
        SteeringLab.Run($"ip netns exec {_lab.Gateway} nft delete table inet xfrmd");
        Policy with = _lab.Add(Policies.Out("0.0.0.0/0", "10.3.0.0/16", mark: new XfrmMark(7, 0xFF)));
        _lab.Ping(_lab.Gateway, "10.2.0.1");
        _lab.Ping(_lab.Gateway, "10.3.0.1", "-m 7");
        // IPv6 also tells its multicast groups through an interface that comes up.
        Assert.Equal(["10.2.0.1"], Ipv4(_lab.Device));
        Assert.Equal(["10.3.0.1"], Ipv4(_lab.Steering.Devices[1]));
        _lab.Delete(with);
        SteeringLab.Run($"ip netns exec {_lab.Gateway} nft list table inet xfrmd");

        static IEnumerable<string> Ipv4(SteeringDevice device) =>
            SteeringLab.Read(device).Where(p => p[0] >> 4 == 4).Select(TestPackets.Destination);
    }

    [Fact]
    public void A_flow_is_explained_by_the_rule_that_takes_it()
    {
        _lab.Add(Policies.Out("192.0.2.1/32", "10.2.0.0/16", priority: 77));
        Flow flow = new() { Family = AddressFamily.Inet, Saddr = XfrmAddress.Parse("192.0.2.1"), Daddr = XfrmAddress.Parse("10.2.0.1"), Proto = 6 };
        string text = _lab.Steering.Explain(flow, PolicyDirection.Out);
        Assert.Contains("priority 77: goes to ipsec0 (table 4240)", text, StringComparison.Ordinal);
        Assert.Contains("set out1", text, StringComparison.Ordinal);
        Assert.Equal("no policy matches; passes in clear", _lab.Steering.Explain(flow.Reversed(), PolicyDirection.Out));
    }
}

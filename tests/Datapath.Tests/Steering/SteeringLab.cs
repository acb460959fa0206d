using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests.Steering;

/// <summary>
/// Three network namespaces: a LAN host, a gateway with steering, and a peer to whom everything would go in clear if steering failed.
/// <code>
/// lan 10.1.0.5, 2001:db8:a::5 ── eth1 gateway eth0 192.0.2.1, 2001:db8:1::1 ── 192.0.2.2, 2001:db8:1::2 peer (default route)
/// </code>
/// </summary>
internal sealed partial class SteeringLab : IDisposable
{
    private static int _count;
    private readonly string _prefix = string.Create(CultureInfo.InvariantCulture, $"steering-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");
    private readonly List<Process> _captures = [];

    public SteeringLab(bool start = true, SteeringOptions? options = null)
    {
        foreach (string name in new[] { Lan, Gateway, Peer })
        {
            Run($"ip netns add {name}");
            Run($"ip -n {name} link set lo up");
            Run($"ip netns exec {name} sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        }
        Run($"ip -n {Gateway} link add eth0 type veth peer name eth0 netns {Peer}");
        Run($"ip -n {Gateway} link add eth1 type veth peer name eth0 netns {Lan}");
        foreach ((string name, string device, string ipv4, string ipv6) in new[]
            {
                (Gateway, "eth0", "192.0.2.1/24", "2001:db8:1::1/64"), (Peer, "eth0", "192.0.2.2/24", "2001:db8:1::2/64"),
                (Gateway, "eth1", "10.1.0.1/16", "2001:db8:a::1/64"), (Lan, "eth0", "10.1.0.5/16", "2001:db8:a::5/64"),
            })
        {
            Run($"ip -n {name} addr add {ipv4} dev {device}");
            Run($"ip -n {name} addr add {ipv6} dev {device} nodad");
            Run($"ip -n {name} link set {device} up");
        }
        Run($"ip -n {Gateway} route add default via 192.0.2.2");
        Run($"ip -n {Gateway} -6 route add default via 2001:db8:1::2");
        Run($"ip -n {Lan} route add default via 10.1.0.1");
        Run($"ip -n {Lan} -6 route add default via 2001:db8:a::1");
        Run($"ip -n {Peer} route add 10.1.0.0/16 via 192.0.2.1");
        Run($"ip -n {Peer} -6 route add 2001:db8:a::/64 via 2001:db8:1::1");
        // A link that has just come up loses its first packets: what a test sends once must find the way ready.
        Run($"ip netns exec {Lan} ping -q -n -c1 -i0.1 -w5 192.0.2.2");
        Run($"ip netns exec {Lan} ping -q -n -c1 -i0.1 -w5 2001:db8:1::2");
        Netns = File.OpenHandle("/run/netns/" + Gateway);
        Options = options ?? new SteeringOptions();
        if (start)
        {
            Start();
        }
    }

    public string Lan => _prefix + "-lan";

    public string Gateway => _prefix + "-gw";

    public string Peer => _prefix + "-peer";

    public SafeFileHandle Netns { get; }

    public SteeringOptions Options { get; }

    public XfrmNamespace Space { get; } = new(1, TimeProvider.System);

    public NetfilterSteering Steering { get; private set; } = null!;

    public SteeringDevice Device => Steering.Devices[0];

    public void Start()
    {
        Steering = NetfilterSteering.Start(Netns, Space.Spd, Options, NullLogger.Instance);
        Space.Observers.Add(Steering);
    }

    public Policy Add(Policy policy)
    {
        lock (Space.Gate)
        {
            Assert.True(Space.Spd.Insert(policy, exclusive: false).IsOk);
        }
        return policy;
    }

    public void Delete(Policy policy)
    {
        lock (Space.Gate)
        {
            Assert.True(Space.Spd.Delete(policy));
        }
    }

    /// <summary>Runs a command, which must succeed, and returns what it printed.</summary>
    public static string Run(string command)
    {
        (int exit, string output) = TryRun(command);
        Assert.True(exit == 0, $"{command}: exit {exit}\n{output}");
        return output;
    }

    public static (int Exit, string Output) TryRun(string command)
    {
        using Process process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command + " 2>&1"]) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output);
    }

    public (int Exit, string Output) In(string netns, string command) => TryRun($"timeout 20 ip netns exec {netns} {command}");

    /// <summary>One ping, half a second at most; returns what ping says.</summary>
    public (int Exit, string Output) Ping(string netns, string destination, string options = "") => In(netns, $"ping -n -c1 -W0.5 {options} {destination}");

    public (int Exit, string Output) Python(string netns, string script) => In(netns, $"/usr/bin/python3 -c '{script}'");

    /// <summary>The error that sending a UDP datagram ends with; "none" where it ends with none.</summary>
    public string SendError(string netns, string destination) => Python(netns, $"""
        import socket, errno
        s = socket.socket(socket.{(destination.Contains(':', StringComparison.Ordinal) ? "AF_INET6" : "AF_INET")}, socket.SOCK_DGRAM)
        try: s.sendto(b"x", ("{destination}", 9)); print("none")
        except OSError as e: print(errno.errorcode[e.errno])
        """).Output.Trim();

    /// <summary>Captures on the peer's side of the wire what <paramref name="filter"/> lets through; the function ends it and returns the lines.</summary>
    public Func<string[]> Capture(string filter, string? netns = null, string device = "eth0")
    {
        Process capture = Process.Start(new ProcessStartInfo("ip", ["netns", "exec", netns ?? Peer, "tcpdump", "-nn", "-l", "-Q", "in", "-i", device, filter])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _captures.Add(capture);
        while (capture.StandardError.ReadLine() is { } line && !line.StartsWith("listening", StringComparison.Ordinal))
        {
        }
        return () =>
        {
            Thread.Sleep(150);   // what is on its way
            _ = Kill(capture.Id, 2);
            string[] lines = capture.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
            capture.WaitForExit();
            return lines;
        };
    }

    /// <summary>Packets that the TUN has for us, without their virtio header, until none has come for a while.</summary>
    public static List<byte[]> Read(SteeringDevice device, int milliseconds = 200)
    {
        List<byte[]> packets = [];
        byte[] buffer = new byte[70_000];
        while (Poll(device.Tun.Queues[0], milliseconds))
        {
            int length = (int)Read(device.Tun.Queues[0], buffer, buffer.Length);
            packets.Add(buffer[10..length]);
        }
        return packets;
    }

    public static void Write(SteeringDevice device, byte[] packet)
    {
        byte[] framed = [.. new byte[10], .. packet];
        Assert.Equal(framed.Length, Write(device.Tun.Queues[0], framed, framed.Length));
    }

    public static bool Poll(SafeFileHandle handle, int milliseconds)
    {
        PollFd fd = new() { Fd = (int)handle.DangerousGetHandle(), Events = 1 };
        return Poll(ref fd, 1, milliseconds) == 1 && (fd.Revents & 1) != 0;
    }

    /// <summary>What the kernel does when the daemon is killed: the TUN goes, everything else stays.</summary>
    public void KillDevices()
    {
        foreach (SteeringDevice device in Steering.Devices)
        {
            device.Dispose();
        }
    }

    public void Dispose()
    {
        foreach (Process capture in _captures)
        {
            if (!capture.HasExited)
            {
                capture.Kill();
            }
            capture.Dispose();
        }
        Steering?.Dispose();
        Netns.Dispose();
        Space.Dispose();
        foreach (string name in new[] { Lan, Gateway, Peer })
        {
            TryRun($"ip netns del {name}");
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollFd
    {
        public int Fd;
        public short Events;
        public short Revents;
    }

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref PollFd fds, nuint count, int timeout);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint Read(SafeFileHandle fd, Span<byte> buffer, nint length);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(SafeFileHandle fd, ReadOnlySpan<byte> buffer, nint length);

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);
}

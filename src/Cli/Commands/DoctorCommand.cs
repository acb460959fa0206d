using System.CommandLine;
using System.Globalization;
using System.Net.NetworkInformation;
using System.Runtime.InteropServices;
using System.Text.Json;
using Xfrmd.Cli.Control;
using Xfrmd.Crypto;
using Xfrmd.Linux;
using Xfrmd.Linux.Bpf;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd doctor</c>: what this machine has and lacks. Changes nothing. Exit code 1 where something that is needed is missing.</summary>
internal static class DoctorCommand
{
    private const int AfNetlink = 16, AfKey = 15, AfInet = 2, NetlinkXfrm = 6, PfKeyV2 = 2, ProtocolEsp = 50;
    private const int CapNetAdmin = 12, CapNetRaw = 13, CapSysAdmin = 21, CapSysPtrace = 19;

    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> json) = (CommonOptions.Socket(), CommonOptions.Json());
        return new CliCommand("doctor", "What this machine has and lacks for xfrmd, with the fix for each.", "xfrmd doctor", "xfrmd doctor --json")
        {
            socket, json,
        }.Explained("It looks and changes nothing. Run it where the daemon will run: as that user, in that container.",
            "1 where something is missing that xfrmd cannot do without").Does(parsed => Execute(CommonOptions.SocketOf(parsed, socket), parsed.GetValue(json)));
    }

    private static int Execute(string socket, bool json)
    {
        bool serves = ControlClient.IsDaemonAt(socket);
        DoctorCheck[] checks =
        [
            Tun(), Seccomp(), NetAdmin(), NetRaw(),
            Capability("CAP_SYS_ADMIN", CapSysAdmin, DoctorCheck.Warning, "without it only programs in the daemon's own network namespace are served"),
            Capability("CAP_SYS_PTRACE", CapSysPtrace, DoctorCheck.Warning, "needed where a container's seccomp profile refuses pidfd_getfd; else ESP in UDP is received by a raw socket, more slowly: --cap-add SYS_PTRACE"),
            RawSocket(), Netfilter(), Ebpf(), Cryptography(), ReversePath(), PathMtu(), KernelXfrm(), KernelEsp(), PfKey(), ModuleRules(), Ports(serves), Ptrace(), Ip(), Daemon(socket, serves),
        ];
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(checks, ControlJson.Default.DoctorCheckArray));
        }
        else
        {
            foreach (DoctorCheck check in checks)
            {
                string mark = check.Status switch { DoctorCheck.Ok => Paint.Good("ok  "), DoctorCheck.Warning => Paint.Warn("warn"), _ => Paint.Bad("FAIL") };
                Console.WriteLine($"{mark} {check.Name,-22} {check.Found}");
                if (check.Fix is { } fix)
                {
                    Console.WriteLine($"     {"",-22} → {fix}");
                }
            }
            int missing = checks.Count(c => c.Status == DoctorCheck.Failure);
            Console.WriteLine(missing == 0 ? $"⇒  {Paint.Good("xfrmd can run here")}" : $"⇒  {Paint.Bad("xfrmd cannot run here")}: {missing} of {checks.Length} checks failed");
        }
        return checks.Any(c => c.Status == DoctorCheck.Failure) ? ExitCode.Failed : ExitCode.Done;
    }

    /// <summary>What the daemon cannot do without; null where all is there.</summary>
    public static DoctorCheck? FindObstacle() => Array.Find(
        [NetAdmin(), NetRaw(), Tun(), Netfilter()], static check => check.Status == DoctorCheck.Failure);

    private static DoctorCheck NetAdmin() => Capability("CAP_NET_ADMIN", CapNetAdmin, DoctorCheck.Failure, "run as root; or in a network namespace of your own, unshare -rn; or give the container --cap-add NET_ADMIN");

    private static DoctorCheck NetRaw() => Capability("CAP_NET_RAW", CapNetRaw, DoctorCheck.Failure, "run as root, or give the container --cap-add NET_RAW");

    private static DoctorCheck Tun()
    {
        const string name = "/dev/net/tun";
        try
        {
            using FileStream device = new(name, FileMode.Open, FileAccess.ReadWrite);
            return new DoctorCheck(name, DoctorCheck.Ok, "opens");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return new DoctorCheck(name, DoctorCheck.Failure, failure.Message,
                "modprobe tun; in a container: --device /dev/net/tun; or mkdir -p /dev/net && mknod /dev/net/tun c 10 200");
        }
    }

    private static DoctorCheck Seccomp()
    {
        const string name = "seccomp notification";
        string actions = Read("/proc/sys/kernel/seccomp/actions_avail");
        if (!actions.Contains("user_notif", StringComparison.Ordinal))
        {
            return new DoctorCheck(name, DoctorCheck.Failure, "the kernel has no user notification", "Linux 5.19 or newer with CONFIG_SECCOMP_FILTER is needed");
        }
        Version kernel = Environment.OSVersion.Version;
        string? fix = kernel < new Version(5, 19) ? "Linux 5.19 or newer: before it, signals can interrupt answered calls" : null;
        bool filtered = SeccompFilter.CurrentMode == SeccompFilter.ModeFilter;
        return new DoctorCheck(name, fix is null ? DoctorCheck.Ok : DoctorCheck.Warning,
            string.Create(CultureInfo.InvariantCulture, $"Linux {kernel.ToString(2)}{(filtered ? ", under a filter of a container already" : "")}"), fix);
    }

    private static DoctorCheck Capability(string name, int bit, string severity, string fix)
    {
        string line = File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith("CapEff:", StringComparison.Ordinal)) ?? "CapEff:\t0";
        ulong effective = ulong.Parse(line.AsSpan(line.IndexOf('\t', StringComparison.Ordinal) + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        return (effective >> bit & 1) != 0 ? new DoctorCheck(name, DoctorCheck.Ok, "present") : new DoctorCheck(name, severity, "missing", fix);
    }

    private static DoctorCheck RawSocket() => ProbeSocket.NumberOf(AfInet, ProtocolEsp) is var number && number >= 0
        ? new DoctorCheck("raw ESP socket", DoctorCheck.Ok, "opens")
        : new DoctorCheck("raw ESP socket", DoctorCheck.Failure, $"errno {-number}", "CAP_NET_RAW is needed");

    private static DoctorCheck Netfilter()
    {
        const string name = "nf_tables", fix = "modprobe nf_tables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET)";
        const int Eperm = 1;
        try
        {
            using NetfilterClient client = new();
            client.ReadCounters("xfrmd");
            return new DoctorCheck(name, DoctorCheck.Ok, "answers");
        }
        catch (LinuxException failure)
        {
            return failure.Errno == Eperm
                ? new DoctorCheck(name, DoctorCheck.Ok, "NETLINK_NETFILTER opens; only root may ask it more")
                : new DoctorCheck(name, DoctorCheck.Failure, failure.Message, fix);
        }
    }

    private static DoctorCheck Ebpf()
    {
        const string name = "eBPF";
        return BpfSupport.Obstacle() is { } obstacle
            ? new DoctorCheck(name, DoctorCheck.Warning, obstacle,
                "Linux 6.6 and CAP_BPF (or CAP_SYS_ADMIN): without it raw ESP costs more, and what comes out of a tunnel has no mark (set_mark_in) for firewall rules and routing")
            : new DoctorCheck(name, DoctorCheck.Ok, "programs can be loaded");
    }

    private static DoctorCheck Cryptography() => new("cryptography", DoctorCheck.Ok, CryptoLibraries.InUse,
        CryptoLibraries.IncludeIpsecMb || RuntimeInformation.ProcessArchitecture != Architecture.X64 ? null
            : "libIPSec_MB would compute AES-GCM in a third of the time: apt install libipsec-mb1 (Debian 12) or libipsec-mb2, then start the daemon anew");

    // Strict filtering is fine (the steering marks what it injects); it is told since it explains lost packets of other setups.
    private static DoctorCheck ReversePath()
    {
        string all = Read("/proc/sys/net/ipv4/conf/all/rp_filter").Trim();
        return new DoctorCheck("rp_filter", DoctorCheck.Ok, all switch { "0" => "off", "1" => "strict on all", "2" => "loose on all", _ => "unknown" });
    }

    // What fits into the narrowest device after AES-GCM in an IPv4 tunnel: the sum that explains "connects, but no traffic".
    private static DoctorCheck PathMtu()
    {
        const int Outer = 20, Esp = 8, Iv = 8, Icv = 16, Trailer = 2, Udp = 8, Least = 1280;
        const string name = "MTU";
        (string Device, int Mtu)[] devices = [.. Directory.EnumerateDirectories("/sys/class/net").Select(Path.GetFileName).OfType<string>()
            .Where(d => d != "lo" && !d.StartsWith("ipsec", StringComparison.Ordinal) && Read($"/sys/class/net/{d}/operstate").Trim() is "up" or "unknown")
            .Select(d => (d, int.TryParse(Read($"/sys/class/net/{d}/mtu"), CultureInfo.InvariantCulture, out int mtu) ? mtu : 0)).Where(d => d.Item2 > 0)];
        if (devices.Length == 0)
        {
            return new DoctorCheck(name, DoctorCheck.Warning, "no device but lo is up", "ip link set DEVICE up: without one nothing can be sent");
        }
        (string device, int mtu) = devices.MinBy(d => d.Mtu);
        int inner = ((mtu - Outer - Esp - Iv - Icv) & ~3) - Trailer;
        string found = string.Create(CultureInfo.InvariantCulture, $"{mtu} on {device}: packets of up to {inner} bytes fit a tunnel (AES-GCM over IPv4), {inner - Udp} in UDP");
        return inner - Udp >= Least
            ? new DoctorCheck(name, DoctorCheck.Ok, found)
            : new DoctorCheck(name, DoctorCheck.Warning, found, "less than IPv6 needs (1280): raise the device's MTU, or expect fragments");
    }

    private static DoctorCheck KernelXfrm()
    {
        const string name = "kernel's own XFRM";
        if (ProbeSocket.NumberOf(AfNetlink, NetlinkXfrm) < 0)
        {
            return new DoctorCheck(name, DoctorCheck.Ok, "none: IKE daemons work here only under xfrmd");
        }
        (ProgramResult states, ProgramResult policies) = (ProgramResult.Of("ip", "xfrm", "state", "list"), ProgramResult.Of("ip", "xfrm", "policy", "list"));
        bool hasStates = states is { Code: 0, Output.Length: > 0 }, hasPolicies = policies is { Code: 0, Output.Length: > 0 };
        return hasStates || hasPolicies
            ? new DoctorCheck(name, DoctorCheck.Warning, $"has {(hasStates ? "SAs" : "policies")} of its own in this network namespace",
                "stop the IKE daemon that talks to the kernel, or 'ip xfrm state flush; ip xfrm policy flush': the kernel would take packets before xfrmd sees them")
            : new DoctorCheck(name, DoctorCheck.Ok, "present, without SAs and policies");
    }

    // In a network namespace of its own, which ends with it: nothing is left behind.
    private static DoctorCheck KernelEsp()
    {
        const string name = "kernel's own ESP";
        ProgramResult attempt = ProgramResult.Of("unshare", "-n", "ip", "xfrm", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "1",
            "mode", "tunnel", "enc", "ecb(cipher_null)", "", "auth", "digest_null", "");
        return attempt switch
        {
            { Code: 0 } => new DoctorCheck(name, DoctorCheck.Ok, "present: the kernel could do IPsec itself, and faster"),
            { IsMissing: true } => new DoctorCheck(name, DoctorCheck.Warning, "not known: " + attempt.Errors, "install iproute2 and util-linux"),
            _ when attempt.Errors.StartsWith("unshare:", StringComparison.Ordinal) => new DoctorCheck(name, DoctorCheck.Ok, "not known: no network namespace may be made here to try it in"),
            _ => new DoctorCheck(name, DoctorCheck.Ok, $"missing ({attempt.Errors.Trim().ReplaceLineEndings(" ")}): xfrmd takes its place"),
        };
    }

    // "install esp4 /bin/false" and "blacklist esp4": how distributions and operators disable modules (modprobe.d(5)).
    private static DoctorCheck ModuleRules()
    {
        const string name = "modprobe.d";
        string[] ours = ["tun", "nf_tables"], kernels = ["esp4", "esp6", "ah4", "ah6", "xfrm_user", "af_key"];
        List<(string Module, string File)> rules = [];
        foreach (string folder in (string[])["/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"])
        {
            foreach (string file in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.conf") : [])
            {
                foreach (string line in Read(file).Split('\n'))
                {
                    string[] words = line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
                    if (words is ["install" or "blacklist", var module, ..] && (ours.Contains(module) || kernels.Contains(module)))
                    {
                        rules.Add((module, file));
                    }
                }
            }
        }
        if (rules.Find(r => ours.Contains(r.Module)) is { Module: not null } needed)
        {
            return new DoctorCheck(name, DoctorCheck.Warning, $"{needed.File} keeps {needed.Module} from being loaded, which xfrmd needs", "remove the rule, or load the module by hand: insmod");
        }
        return new DoctorCheck(name, DoctorCheck.Ok, rules.Count == 0
            ? "no rule against IPsec modules"
            : $"{string.Join(", ", rules.Select(r => r.Module).Distinct())} disabled by {string.Join(", ", rules.Select(r => r.File).Distinct())}: xfrmd does not need them");
    }

    private static DoctorCheck PfKey() => new("kernel's own PF_KEY", DoctorCheck.Ok,
        ProbeSocket.NumberOf(AfKey, PfKeyV2) >= 0 ? "present" : "missing: PF_KEY programs work here only under xfrmd");

    private static DoctorCheck Ports(bool serves)
    {
        const string name = "UDP 500 and 4500";
        int[] taken = [.. IPGlobalProperties.GetIPGlobalProperties().GetActiveUdpListeners().Select(l => l.Port).Where(p => p is 500 or 4500).Distinct().Order()];
        string found = $"{string.Join(" and ", taken)} in use";
        return taken.Length == 0 ? new DoctorCheck(name, DoctorCheck.Ok, "free")
            : serves ? new DoctorCheck(name, DoctorCheck.Ok, found + ", as it should be where an IKE daemon runs under xfrmd")
            : new DoctorCheck(name, DoctorCheck.Warning, found + ", and no xfrmd serves", "an IKE daemon runs without xfrmd (ss -ulpn 'sport = :500'): stop it, and start it with 'xfrmd run --'");
    }

    private static DoctorCheck Ptrace()
    {
        string scope = Read("/proc/sys/kernel/yama/ptrace_scope").Trim();
        return scope is "" or "0"
            ? new DoctorCheck("Yama ptrace_scope", DoctorCheck.Ok, scope.Length == 0 ? "no Yama" : "0")
            : new DoctorCheck("Yama ptrace_scope", DoctorCheck.Warning, scope, "the daemon must be root (CAP_SYS_PTRACE), or: sysctl kernel.yama.ptrace_scope=0");
    }

    private static DoctorCheck Ip() => ProgramResult.Of("ip", "-V") is { Code: 0 } ip
        ? new DoctorCheck("ip", DoctorCheck.Ok, ip.Output.Trim())
        : new DoctorCheck("ip", DoctorCheck.Warning, "not installed: 'xfrmd state', 'policy' and 'monitor' print through it", "install iproute2; --json works without it");

    private static DoctorCheck Daemon(string socket, bool serves)
    {
        if (!serves)
        {
            return new DoctorCheck("daemon", DoctorCheck.Warning, $"none at {socket}", "start one with 'xfrmd serve', or name its socket with --socket");
        }
        try
        {
            StatusReport status = Control.Daemon.Ask(socket, new ControlRequest { Command = "status" }, ControlJson.Default.StatusReport);
            return new DoctorCheck("daemon", DoctorCheck.Ok, string.Create(CultureInfo.InvariantCulture, $"xfrmd {status.Version}, process {status.ProcessId}, serves at {socket}"));
        }
        catch (ControlException failure)
        {
            return new DoctorCheck("daemon", DoctorCheck.Warning, $"one listens at {socket}", failure.Message);
        }
    }

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}

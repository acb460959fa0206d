using System.Globalization;
using System.Net;

namespace Xfrmd.Interop.Harness;

/// <summary>
/// Watches a link for packets that a policy covers and that pass in clear. It proves itself: before it is read, a question for an address
/// that nobody has (ARP) is sent over the same link and must be in the capture.
/// </summary>
public sealed class Wiretap
{
    private static int _count;
    private readonly Host _host;
    private readonly string _sentinelPrefix;
    private readonly string _clearFile;
    private readonly string _protectedFile;
    private readonly BackgroundProcess _clear;
    private readonly BackgroundProcess _protected;

    /// <param name="lab">Owns the files.</param>
    /// <param name="host">Where the link can be watched.</param>
    /// <param name="device">The link.</param>
    /// <param name="sentinelPrefix">The first three octets of an IPv4 network of <paramref name="host"/> on that link.</param>
    public Wiretap(Lab lab, Host host, string device, string sentinelPrefix)
    {
        (_host, _sentinelPrefix) = (host, sentinelPrefix);
        int number = Interlocked.Increment(ref _count);
        _clearFile = Path.Combine(lab.Folder, string.Create(CultureInfo.InvariantCulture, $"clear-{device}-{number}.pcap"));
        _protectedFile = Path.Combine(lab.Folder, string.Create(CultureInfo.InvariantCulture, $"protected-{device}-{number}.pcap"));
        const string Protected = "ip proto 50 or ip6 proto 50 or udp port 4500";
        _clear = Start(_clearFile, device, $"not ({Protected} or udp port 500)", string.Create(CultureInfo.InvariantCulture, $"tcpdump-clear-{number}"));
        _protected = Start(_protectedFile, device, Protected, string.Create(CultureInfo.InvariantCulture, $"tcpdump-esp-{number}"), "-c", "5000");
        _clear.WaitForLog("listening on");
        _protected.WaitForLog("listening on");
    }

    /// <summary>Ends the watch and says what passed.</summary>
    public WireReport Stop()
    {
        int octet = 200 + (Interlocked.Increment(ref _count) % 50);
        IPAddress nobody = IPAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"{_sentinelPrefix}.{octet}"));
        _host.Run(Toolbox.Find("ping"), "-c", "1", "-W", "0.05", nobody.ToString());
        Wait.Until(() => Pcap.Read(_clearFile).Any(packet => packet.ArpTarget is { } target && target.Equals(nobody)), "the capture shows what the link carries");
        _clear.Stop("INT");
        _protected.Stop("INT");
        Assert.Contains("0 packets dropped by kernel", _clear.Log, StringComparison.Ordinal);
        return new WireReport(Pcap.Read(_clearFile), Pcap.Read(_protectedFile));
    }

    private BackgroundProcess Start(string file, string device, string filter, string name, params string[] options) => _host.Start(
        name, [Toolbox.Find("tcpdump"), "-n", "-i", device, "-s", "160", "-B", "16384", "-U", "--immediate-mode", "-Z", "root", "-w", file, .. options, filter]);
}

using System.Buffers.Binary;
using BenchmarkDotNet.Attributes;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Bench.Engine;

/// <summary>
/// The whole path in memory: bytes of a TUN to ESP, and back to what is written to the other TUN. The time is for one packet (64 in each call),
/// with what the memory network itself costs: two copies.
/// </summary>
[MemoryDiagnoser(displayGenColumns: false)]
[MinColumn]
[HideColumns("Error", "StdDev", "Median", "RatioSD")]
public class PathBenchmark
{
    private const int Packets = 64;
    private TwoHosts _hosts = null!;
    private byte[] _packet = [];
    private VnetHeader _header;

    /// <summary>Bytes of UDP payload.</summary>
    [Params(64, 512, 1372)]
    public int Payload { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _hosts = new TwoHosts();
        _packet = new byte[Ipv4View.MinHeaderLength + UdpView.HeaderLength + Payload];
        Ipv4View.Write(_packet, 0, 0, Ipv4View.DontFragmentBit, 64, [10, 1, 0, 1], [10, 2, 0, 1]);
        Ipv4View.Complete(_packet, _packet.Length, NextHeader.Udp);
        Span<byte> udp = _packet.AsSpan(Ipv4View.MinHeaderLength);
        UdpView.Write(udp, 1000, 53, udp.Length);
        BinaryPrimitives.WriteUInt16BigEndian(udp[UdpView.ChecksumAt..], 0);
        UdpView.Seal(udp, InternetChecksum.PseudoHeader([10, 1, 0, 1], [10, 2, 0, 1], NextHeader.Udp, udp.Length));
        _header = default;
        _hosts.LeftTun.Send(_header, _packet);
        _hosts.LeftTun.Repeats = int.MaxValue;
    }

    [GlobalCleanup]
    public void Cleanup() => _hosts.Dispose();

    [Benchmark(OperationsPerInvoke = Packets)]
    public long OutAndIn()
    {
        _hosts.LeftTun.Repeats = int.MaxValue;
        _ = _hosts.Outbound.RunOnce();
        while (_hosts.Inbound.RunOnce(_hosts.Wire) > 0)
        {
        }
        return _hosts.RightTun.WrittenPackets;
    }
}

using BenchmarkDotNet.Attributes;
using Xfrmd.Datapath;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Bench.Engine;

/// <summary>The single steps that each packet takes beside its cipher.</summary>
[MemoryDiagnoser(displayGenColumns: false)]
[MinColumn]
[HideColumns("Error", "StdDev", "Median", "RatioSD")]
public class StepsBenchmark
{
    private const int Size = 1400;
    private readonly byte[] _packet = PinnedArray.Create(Size);
    private readonly byte[] _header = new byte[Ipv4View.MinHeaderLength];
    private readonly byte[] _saddr = [192, 0, 2, 1], _daddr = [192, 0, 2, 2];
    private ReplayWindow _window = null!;
    private uint _sequence;

    [GlobalSetup]
    public void Setup()
    {
        _packet.AsSpan().Fill(0x5A);
        Ipv4View.Write(_packet, 0, 0, Ipv4View.DontFragmentBit, 64, [10, 1, 0, 1], [10, 2, 0, 1]);
        Ipv4View.Complete(_packet, Size, NextHeader.Udp);
        UdpView.Write(_packet.AsSpan(Ipv4View.MinHeaderLength), 1000, 53, Size - Ipv4View.MinHeaderLength);
        _window = new ReplayWindow(new ReplayState { Mode = ReplayMode.Esn, Window = 1024, Bitmap = new uint[32] }, mayWrap: true);
    }

    /// <summary>From a packet's bytes to its flow.</summary>
    [Benchmark]
    public bool Parse() => FlowDecoder.TryDecode(_packet, 0, 0, 0, out _);

    [Benchmark]
    public ReplayVerdict ReplayCheckAndAdvance()
    {
        uint sequence = ++_sequence;
        _ = _window.Check(sequence);
        return _window.RecheckAndAdvance(sequence, _window.InferHigh(sequence));
    }

    [Benchmark]
    public bool SequenceNumber() => _window.TryReserve(1, out _);

    [Benchmark]
    public void OuterHeader()
    {
        Ipv4View.Write(_header, 0, 0, Ipv4View.DontFragmentBit, 64, _saddr, _daddr);
        Ipv4View.Complete(_header, Size, NextHeader.Esp);
    }

    [Benchmark]
    public ulong Checksum1400() => InternetChecksum.Sum(_packet);
}

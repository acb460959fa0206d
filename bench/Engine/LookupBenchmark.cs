using BenchmarkDotNet.Attributes;
using Xfrmd.Datapath;
using Xfrmd.Datapath.Engine;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Bench.Engine;

/// <summary>Which policy, which decision: the database asked, and the worker's memory of flows.</summary>
[MemoryDiagnoser(displayGenColumns: false)]
[MinColumn]
[HideColumns("Error", "StdDev", "Median", "RatioSD")]
public class LookupBenchmark
{
    private readonly FlowCache _cache = new();
    private XfrmNamespace _space = null!;
    private Flow[] _flows = [];
    private int _next;

    [Params(1, 10_000, 100_000)]
    public int Policies { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _space = new XfrmNamespace(1, TimeProvider.System);
        lock (_space.Gate)
        {
            for (int i = 0; i < Policies; i++)
            {
                _space.Spd.Insert(TwoHosts.MakePolicy(PolicyDirection.Out, "10.1.0.0", Destination(i), (byte)(16 + (i % 8))), exclusive: false);
            }
        }
        _flows = new Flow[1024];
        for (int i = 0; i < _flows.Length; i++)
        {
            _flows[i] = new Flow
            {
                Saddr = XfrmAddress.Parse("10.1.0.1"),
                Daddr = XfrmAddress.Parse(Destination(i * 7919 % Policies)),
                Family = AddressFamily.Inet,
                Proto = NextHeader.Udp,
                Sport = 1000,
                Dport = 53,
            };
            _cache.Replace(_flows[i]).Generation = 1;
        }
    }

    [GlobalCleanup]
    public void Cleanup() => _space.Dispose();

    [Benchmark]
    public object? Policy() => _space.Spd.Find(_flows[_next++ & 1023], PolicyDirection.Out);

    [Benchmark]
    public object? FlowCacheHit() => _cache.Find(_flows[_next++ & 1023]);

    private static string Destination(int i) => $"{20 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.0";
}

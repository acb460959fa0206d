using System.IO.Compression;
using BenchmarkDotNet.Attributes;
using Xfrmd.Crypto.Compression;

namespace Xfrmd.Bench;

/// <summary>IPComp's compression of one packet, beside .NET's stream (another window, and other bytes than Linux sends).</summary>
[MemoryDiagnoser(displayGenColumns: false)]
[MinColumn]
[HideColumns("Error", "StdDev", "Median", "RatioSD")]
public class DeflateBenchmark
{
    private readonly DeflateCodec _codec = new();
    private readonly byte[] _plain = new byte[1400], _compressed = new byte[2000], _back = new byte[2000];
    private int _length;

    [GlobalSetup]
    public void Setup()
    {
        for (int i = 0; i < _plain.Length; i++)
        {
            _plain[i] = (byte)("the quick brown fox jumps over the lazy dog "[i * i / 7 % 44] + (i % 97 == 0 ? 1 : 0));
        }

        Compress();
    }

    [Benchmark(Baseline = true)]
    public bool Compress() => _codec.TryCompress(_plain, _compressed, out _length);

    [Benchmark]
    public bool Decompress() => _codec.TryDecompress(_compressed.AsSpan(0, _length), _back, out _);

    [Benchmark]
    public long CompressDotNet()
    {
        var output = new MemoryStream(2000);
        using (var stream = new DeflateStream(output, CompressionLevel.Optimal, leaveOpen: true))
        {
            stream.Write(_plain);
        }

        return output.Length;
    }
}

using BenchmarkDotNet.Attributes;
using Xfrmd.Crypto;

namespace Xfrmd.Bench;

/// <summary>One ESP packet, in place, as the packet path does it: IV, encryption and ICV, or verification and decryption.</summary>
[MemoryDiagnoser(displayGenColumns: false)]
[MinColumn]
[HideColumns("Error", "StdDev", "Median", "RatioSD")]
public class EspBenchmark
{
    private EspTransform _transform = null!;
    private EspContext _context = null!;
    private byte[] _packet = [], _sealed = [];
    private ulong _sequence;

    [Params("aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes128ccm16", "aes128gmac", "aes128-sha256", "aes256-sha512", "null-sha256", "aes128ctr-sha1", "3des-sha1")]
    public string Suite { get; set; } = "";

    [Params(64, 512, 1400, 9000)]
    public int Payload { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _transform = Suites.Create(Suite);
        _context = _transform.CreateContext();
        int alignment = Math.Max(_transform.BlockSize, 4);
        int padded = (Payload + alignment - 1) / alignment * alignment;
        _packet = new byte[EspTransform.HeaderLength + _transform.IvLength + padded + _transform.IcvLength];
        Seal();
        _sealed = [.. _packet];
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _context.Dispose();
        _transform.Dispose();
    }

    [Benchmark]
    public void Seal()
    {
        _context.WriteIv(_packet.AsSpan(EspTransform.HeaderLength, _transform.IvLength), ++_sequence);
        _context.Seal(_packet, esn: false, 0);
    }

    /// <summary>With the copy that brings the ciphertext back.</summary>
    [Benchmark]
    public bool Open()
    {
        _sealed.CopyTo(_packet, 0);
        return _context.Open(_packet, esn: false, 0);
    }
}

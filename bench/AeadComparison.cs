using System.Buffers.Binary;
using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Modes;
using Org.BouncyCastle.Crypto.Parameters;
using Xfrmd.Crypto;

namespace Xfrmd.Bench;

/// <summary>Sealing one ESP packet with AES-128-GCM or ChaCha20-Poly1305: this project's use of native libraries, .NET's classes, BouncyCastle.</summary>
[MemoryDiagnoser(displayGenColumns: false)]
[MinColumn]
[HideColumns("Error", "StdDev", "Median", "RatioSD")]
public class AeadComparison
{
    private const int Header = EspTransform.HeaderLength, Iv = 8, Nonce = 12, Icv = 16;
    private readonly byte[] _nonce = new byte[Nonce];
    private EspTransform _transform = null!;
    private EspContext _context = null!;
    private AesGcm _aesGcm = null!;
    private System.Security.Cryptography.ChaCha20Poly1305 _chaCha = null!;
    private byte[] _packet = [], _output = [];
    private ulong _sequence;

    [Params("aes128gcm16", "chacha20poly1305")]
    public string Suite { get; set; } = "";

    [Params(64, 1400)]
    public int Payload { get; set; }

    private bool Gcm => Suite == "aes128gcm16";

    [GlobalSetup]
    public void Setup()
    {
        _transform = Suites.Create(Suite);
        _context = _transform.CreateContext();
        _aesGcm = new AesGcm(new byte[16], Icv);
        _chaCha = new System.Security.Cryptography.ChaCha20Poly1305(new byte[32]);
        _packet = new byte[Header + Iv + Payload + Icv];
        _output = new byte[Payload + Icv];
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _context.Dispose();
        _transform.Dispose();
        _aesGcm.Dispose();
        _chaCha.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void Xfrmd()
    {
        _context.WriteIv(_packet.AsSpan(Header, Iv), ++_sequence);
        _context.Seal(_packet, esn: false, 0);
    }

    [Benchmark]
    public void DotNet()
    {
        NextNonce();
        Span<byte> payload = _packet.AsSpan(Header + Iv, Payload), icv = _packet.AsSpan(Header + Iv + Payload);
        if (Gcm)
        {
            _aesGcm.Encrypt(_nonce, payload, payload, icv, _packet.AsSpan(0, Header));
        }
        else
        {
            _chaCha.Encrypt(_nonce, payload, payload, icv, _packet.AsSpan(0, Header));
        }
    }

    [Benchmark]
    public void BouncyCastle()
    {
        NextNonce();
        IAeadCipher cipher = Gcm ? new GcmBlockCipher(AesUtilities.CreateEngine()) : new Org.BouncyCastle.Crypto.Modes.ChaCha20Poly1305();
        cipher.Init(true, new AeadParameters(new KeyParameter(new byte[Gcm ? 16 : 32]), Icv * 8, _nonce, _packet[..Header]));
        int written = cipher.ProcessBytes(_packet.AsSpan(Header + Iv, Payload), _output);
        cipher.DoFinal(_output.AsSpan(written));
        _output.CopyTo(_packet, Header + Iv);
    }

    private void NextNonce()
    {
        BinaryPrimitives.WriteUInt64BigEndian(_nonce.AsSpan(4), ++_sequence);
        _nonce.AsSpan(4).CopyTo(_packet.AsSpan(Header));
    }
}

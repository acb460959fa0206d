using System.Buffers.Binary;
using System.Text.Json;

namespace Xfrmd.Crypto.Tests;

/// <summary>One recorded packet (several where it left fragmented) with its SA.</summary>
internal sealed class PacketVector(JsonElement json)
{
    private const int Ipv6Fragment = 44, UdpHeader = 8;

    public string Id { get; } = json.GetProperty("id").GetString()!;

    public int Protocol { get; } = json.GetProperty("proto").GetInt32();

    public bool Esn { get; } = json.GetProperty("esn").GetBoolean();

    public bool Encapsulated { get; } = json.GetProperty("encap").ValueKind != JsonValueKind.Null;

    public bool Verified { get; } = json.TryGetProperty("verified", out JsonElement v) && v.GetBoolean();

    public ulong Sequence64 { get; } = json.TryGetProperty("seq64", out JsonElement v) ? v.GetUInt64() : 0;

    public JsonElement Algorithm { get; } = json.GetProperty("alg");

    public byte[][] Outer { get; } = json.TryGetProperty("outer", out JsonElement v) ? [.. v.EnumerateArray().Select(o => Convert.FromHexString(o.GetString()!))] : [];

    public JsonElement[] Decoded { get; } = json.TryGetProperty("decoded", out JsonElement v) ? [.. v.EnumerateArray()] : [];

    public static byte[] Hex(JsonElement element, string name) => Convert.FromHexString(element.GetProperty(name).GetString()!);

    public EspTransform CreateEsp(CryptoBackend backend)
    {
        EspTransform? transform;
        TransformResult result;
        if (Algorithm.TryGetProperty("aead", out JsonElement aead))
        {
            AeadAlgorithm row = AlgorithmCatalogue.FindAead(aead.GetString(), Algorithm.GetProperty("icv_bits").GetInt32())!;
            result = EspTransform.TryCreateEsp(backend, row, Hex(Algorithm, "key"), out transform);
        }
        else
        {
            CipherAlgorithm cipher = AlgorithmCatalogue.FindCipher(Algorithm.GetProperty("enc").GetString())!;
            bool hasAuth = Algorithm.TryGetProperty("auth", out JsonElement auth) && auth.ValueKind == JsonValueKind.String;
            result = EspTransform.TryCreateEsp(
                backend,
                cipher,
                Hex(Algorithm, "enc_key"),
                hasAuth ? AlgorithmCatalogue.FindAuth(auth.GetString()) : null,
                hasAuth ? Hex(Algorithm, "auth_key") : [],
                hasAuth ? Algorithm.GetProperty("trunc_bits").GetInt32() : 0,
                out transform);
        }

        Assert.Equal(TransformResult.Ok, result);
        return transform!;
    }

    /// <summary>The ESP packets inside <see cref="Outer"/>: fragments put together, IP and UDP headers taken off.</summary>
    public List<byte[]> EspPackets()
    {
        var packets = new List<byte[]>();
        var fragments = new List<byte[]>();
        foreach (byte[] ip in Outer)
        {
            bool v4 = ip[0] >> 4 == 4;
            int header = v4 ? (ip[0] & 15) * 4 : 40;
            bool more = v4 && (ip[6] & 0x20) != 0;
            if (!v4 && ip[6] == Ipv6Fragment)
            {
                more = (ip[header + 3] & 1) != 0;
                header += 8;
            }

            fragments.Add(ip[header..]);
            if (!more)
            {
                byte[] payload = [.. fragments.SelectMany(f => f)];
                packets.Add(Encapsulated ? payload[UdpHeader..] : payload);
                fragments.Clear();
            }
        }

        Assert.Empty(fragments);
        return packets;
    }

    /// <summary>What the ICV of an AH packet covers (RFC 4302 section 3.3.3), and the ICV itself.</summary>
    public (byte[] Covered, byte[] Icv) AhInput(int icvLength)
    {
        byte[] ip = [.. Assert.Single(Outer)];
        int header;
        if (ip[0] >> 4 == 4)
        {
            header = (ip[0] & 15) * 4;
            Assert.Equal(20, header);
            ip[1] = ip[6] = ip[7] = ip[8] = ip[10] = ip[11] = 0;
        }
        else
        {
            header = 40;
            BinaryPrimitives.WriteUInt32BigEndian(ip, 6u << 28);
            ip[7] = 0;
        }

        Span<byte> icv = ip.AsSpan(header + 12, icvLength);
        byte[] received = icv.ToArray();
        icv.Clear();
        byte[] high = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(high, (uint)(Sequence64 >> 32));
        return (Esn ? [.. ip, .. high] : ip, received);
    }
}

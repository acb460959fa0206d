using System.Text.Json;
using Xfrmd.Crypto;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests.Oracle;

/// <summary>A line of esp-vectors.jsonl: an SA, what was handed to the kernel, and what left it.</summary>
internal sealed class PacketVector(JsonElement json)
{
    public static readonly Lazy<PacketVector[]> All = new(() => [.. OracleFiles.Read("esp-vectors.jsonl.gz").Select(l => new PacketVector(l))]);

    public string Id { get; } = json.GetProperty("id").GetString() ?? "";
    public string Tag { get; } = json.GetProperty("tag").GetString()!;
    public byte Proto { get; } = json.GetProperty("proto").GetByte();
    public bool Esn { get; } = json.GetProperty("esn").GetBoolean();
    public bool IsBroken { get; } = json.TryGetProperty("verify_error", out _);
    /// <summary>Left as it was: too short for IPComp in transport mode.</summary>
    public bool IsPlain { get; } = json.TryGetProperty("plain", out _);

    public bool IsRefused { get; } = json.TryGetProperty("error", out _);

    public XfrmMode Mode { get; } = json.GetProperty("mode").GetString() switch
    {
        "tunnel" => XfrmMode.Tunnel,
        "transport" => XfrmMode.Transport,
        _ => XfrmMode.Beet,
    };

    public ushort InnerFamily { get; } = Family(json.GetProperty("inner_family"));
    public ushort OuterFamily { get; } = Family(json.GetProperty("outer_family"));

    /// <summary>Sequence number of the first packet.</summary>
    public ulong Sequence { get; } = json.TryGetProperty("seq64", out JsonElement s) || json.TryGetProperty("seq64_first", out s) ? s.GetUInt64() : 0;

    /// <summary>Null where a socket sent data that the kernel made packets of.</summary>
    public byte[]? Sent { get; } = json.GetProperty("sent").ValueKind == JsonValueKind.String ? OracleFiles.Hex(json, "sent") : null;

    public byte[][] Outer { get; } = json.TryGetProperty("outer", out JsonElement o) ? [.. o.EnumerateArray().Select(p => Convert.FromHexString(p.GetString()!))] : [];
    public JsonElement[] Decoded { get; } = json.TryGetProperty("decoded", out JsonElement d) ? [.. d.EnumerateArray()] : [];

    /// <summary>The packets as they were before ESP, AH or IPComp.</summary>
    public List<byte[]> Inner()
    {
        if (Sent is not null)
        {
            return [Sent];
        }
        List<byte[]> outer = Reassembly.Whole(Outer), inner = [];
        for (int i = 0; i < Decoded.Length; i++)
        {
            byte[] payload = OracleFiles.Hex(Decoded[i], "inner");
            inner.Add(Mode == XfrmMode.Tunnel ? payload : Packets.WithPayload(outer[i], payload, Decoded[i].GetProperty("next_header").GetByte()));
        }
        return inner;
    }

    public byte[] Iv(int index) => Decoded.Length > index && Decoded[index].TryGetProperty("iv", out JsonElement iv) ? Convert.FromHexString(iv.GetString()!) : [];

    /// <summary>The SA, ready to carry packets.</summary>
    public SecurityAssociation CreateSa()
    {
        SecurityAssociation sa = new()
        {
            Family = OuterFamily,
            Mode = Mode,
            Flags = (SaFlags)json.GetProperty("sa_flags").GetByte(),
            ExtraFlags = (SaExtraFlags)json.GetProperty("sa_xflags").GetUInt32(),
            TfcPad = json.GetProperty("tfcpad").GetUInt32(),
            Saddr = XfrmAddress.Parse(OuterFamily == AddressFamily.Inet ? "10.0.0.1" : "2001:db8::1"),
        };
        sa.Id.Daddr = XfrmAddress.Parse(OuterFamily == AddressFamily.Inet ? "10.0.0.2" : "2001:db8::2");
        sa.Id.Spi = Be32.From(json.GetProperty("spi").GetUInt32());
        sa.Id.Proto = Proto;
        if (Tag == "seqwrap" && !IsRefused)
        {
            sa.ExtraFlags |= SaExtraFlags.OseqMayWrap;
        }
        if (json.GetProperty("encap") is { ValueKind: JsonValueKind.Array } encap)
        {
            sa.Encap = new XfrmEncapTmpl
            {
                EncapType = XfrmEncapTmpl.EspInUdp,
                EncapSport = Be16.From(encap[0].GetUInt16()),
                EncapDport = Be16.From(encap[1].GetUInt16()),
            };
        }
        SetSelector(sa);
        SetAlgorithms(sa, json.GetProperty("alg"));
        // The packet before the recorded one was the last.
        ulong last = Sequence - 1;
        sa.SetReplay(Esn
            ? new ReplayState { Mode = ReplayMode.Esn, Oseq = (uint)last, OseqHi = (uint)(last >> 32), Seq = (uint)last, SeqHi = (uint)(last >> 32), Window = 32, Bitmap = [0] }
            : new ReplayState { Oseq = IsRefused ? uint.MaxValue : (uint)last });
        Outcome outcome = SaInitializer.Initialize(sa);
        Assert.True(outcome.IsOk, Id + " " + outcome.ExtAck);
        return sa;
    }

    private void SetSelector(SecurityAssociation sa)
    {
        sa.Selector.Family = (sa.Flags & SaFlags.AfUnspec) != 0 ? AddressFamily.Unspec : InnerFamily;
        if (Mode == XfrmMode.Beet && Sent is not null)
        {
            (XfrmAddress saddr, XfrmAddress daddr) = Packets.Addresses(Sent);
            byte prefix = InnerFamily == AddressFamily.Inet ? (byte)32 : (byte)128;
            (sa.Selector.Saddr, sa.Selector.Daddr, sa.Selector.PrefixlenS, sa.Selector.PrefixlenD) = (saddr, daddr, prefix, prefix);
        }
    }

    private static void SetAlgorithms(SecurityAssociation sa, JsonElement alg)
    {
        SecretKey Key(string name) => new(OracleFiles.Hex(alg, name));
        if (alg.TryGetProperty("aead", out JsonElement aead))
        {
            SecretKey key = Key("key");
            sa.Aead = new SaAead(aead.GetString()!, key, key.Length * 8, alg.GetProperty("icv_bits").GetInt32());
        }
        if (alg.TryGetProperty("enc", out JsonElement enc))
        {
            SecretKey key = Key("enc_key");
            sa.Crypt = new SaCrypt(enc.GetString()!, key, key.Length * 8);
        }
        if (alg.TryGetProperty("auth", out JsonElement auth) && auth.ValueKind == JsonValueKind.String)
        {
            SecretKey key = Key("auth_key");
            sa.Auth = new SaAuth(auth.GetString()!, key, key.Length * 8, alg.GetProperty("trunc_bits").GetInt32());
        }
        if (alg.TryGetProperty("comp", out JsonElement comp))
        {
            sa.Comp = new SaComp(comp.GetString()!);
        }
    }

    private static ushort Family(JsonElement number) => number.GetInt32() == 4 ? AddressFamily.Inet : AddressFamily.Inet6;
}

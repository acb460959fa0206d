using System.Diagnostics;
using System.Text.Json;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests;

/// <summary>
/// What we send is taken apart by scapy's IPsec layer (Debian: python3-scapy), which shares no code with us: each algorithm that it knows, in each
/// mode, over both families, in UDP, with extended sequence numbers. Fails where scapy is missing.
/// </summary>
public sealed class ScapyTests
{
    private const string Script = """
        import json, sys, logging
        logging.getLogger("scapy").setLevel(logging.CRITICAL)
        from scapy.layers.inet import IP, UDP
        from scapy.layers.inet6 import IPv6
        from scapy.layers.ipsec import ESP, AH, SecurityAssociation
        for line in sys.stdin:
            c = json.loads(line)
            try:
                raw = bytes.fromhex(c["wire"])
                kind = IP if raw[0] >> 4 == 4 else IPv6
                wire = kind(raw)
                if c["udp"]:
                    udp = wire[UDP]
                    esp = ESP(bytes(udp.payload))
                    udp.remove_payload()
                    wire = wire / esp
                sa = SecurityAssociation(ESP if c["proto"] == 50 else AH, spi=c["spi"], crypt_algo=c["crypt"], crypt_key=bytes.fromhex(c["crypt_key"]) or None,
                    crypt_icv_size=c["icv"] or None, auth_algo=c["auth"], auth_key=bytes.fromhex(c["auth_key"]) or None,
                    tunnel_header=kind(src=c["saddr"], dst=c["daddr"]) if c["tunnel"] else None,
                    nat_t_header=UDP(sport=4500, dport=4500) if c["udp"] else None, esn_en=c["esn"], esn=0)
                print(bytes(sa.decrypt(wire)).hex())
            except Exception as e:
                print("%s: %s" % (type(e).__name__, e))
        """;

    private sealed record Cipher(string Scapy, string? Aead, string? Crypt, int Key, int Icv);

    private sealed record Auth(string Scapy, string Name, int Key, int Bits);

    // What scapy 2.5 does not know: GCM with a shorter ICV, GMAC, Camellia, XCBC; ESP's own integrity algorithms with ESN. Recordings cover these.
    private static readonly Cipher[] Ciphers =
    [
        new("AES-GCM", "rfc4106(gcm(aes))", null, 20, 16), new("AES-GCM", "rfc4106(gcm(aes))", null, 28, 16), new("AES-GCM", "rfc4106(gcm(aes))", null, 36, 16),
        new("AES-CCM", "rfc4309(ccm(aes))", null, 19, 16), new("AES-CCM", "rfc4309(ccm(aes))", null, 27, 12), new("AES-CCM", "rfc4309(ccm(aes))", null, 35, 8),
        new("CHACHA20-POLY1305", "rfc7539esp(chacha20,poly1305)", null, 36, 16),
        new("AES-CBC", null, "cbc(aes)", 16, 0), new("AES-CBC", null, "cbc(aes)", 24, 0), new("AES-CBC", null, "cbc(aes)", 32, 0),
        new("AES-CTR", null, "rfc3686(ctr(aes))", 20, 0), new("AES-CTR", null, "rfc3686(ctr(aes))", 28, 0), new("AES-CTR", null, "rfc3686(ctr(aes))", 36, 0),
        new("3DES", null, "cbc(des3_ede)", 24, 0), new("DES", null, "cbc(des)", 8, 0), new("CAST", null, "cbc(cast5)", 16, 0),
        new("Blowfish", null, "cbc(blowfish)", 16, 0), new("Blowfish", null, "cbc(blowfish)", 56, 0), new("NULL", null, "ecb(cipher_null)", 0, 0),
    ];

    private static readonly Auth[] Auths =
    [
        new("HMAC-SHA1-96", "hmac(sha1)", 20, 96), new("SHA2-256-128", "hmac(sha256)", 32, 128), new("SHA2-384-192", "hmac(sha384)", 48, 192),
        new("SHA2-512-256", "hmac(sha512)", 64, 256), new("HMAC-MD5-96", "hmac(md5)", 16, 96), new("AES-CMAC-96", "cmac(aes)", 16, 96),
    ];

    /// <summary>What is tried: ESP, or AH where there is no cipher.</summary>
    private sealed record Case(Cipher? Cipher, Auth Auth, XfrmMode Mode, ushort Family, bool Esn, bool InUdp)
    {
        public SecurityAssociation CreateSa()
        {
            SaFlags esn = Esn ? SaFlags.Esn : 0;
            return Cipher is null
                ? Sas.Ah(Auth.Name, Auth.Key, Auth.Bits, Mode, Family, change: sa => sa.Flags |= esn)
                : Sas.Create(IpProtocol.Esp, Mode, Family, 0x1000, sa =>
                {
                    if (Cipher.Aead is not null)
                    {
                        sa.Aead = new SaAead(Cipher.Aead, Sas.Key(Cipher.Key), Cipher.Key * 8, Cipher.Icv * 8);
                    }
                    else
                    {
                        sa.Crypt = new SaCrypt(Cipher.Crypt!, Sas.Key(Cipher.Key), Cipher.Key * 8);
                        sa.Auth = new SaAuth(Auth.Name, Sas.Key(Auth.Key), Auth.Key * 8, Auth.Bits);
                    }
                    sa.Flags |= esn;
                    sa.Encap = InUdp ? new XfrmEncapTmpl { EncapType = XfrmEncapTmpl.EspInUdp, EncapSport = Be16.From(4500), EncapDport = Be16.From(4500) } : null;
                });
        }
    }

    private readonly List<string> _lines = [];
    private readonly List<(string Name, byte[] Expected)> _expected = [];

    [Fact]
    public void Scapy_decrypts_what_we_send()
    {
        foreach (Case each in AllCases())
        {
            Send(each);
        }
        string[] answers = Ask();
        Assert.Equal(_expected.Count, answers.Length);
        List<string> wrong = [];
        for (int i = 0; i < answers.Length; i++)
        {
            if (answers[i] != Convert.ToHexStringLower(_expected[i].Expected))
            {
                wrong.Add($"{_expected[i].Name}: {answers[i]}");
            }
        }
        Assert.True(wrong.Count == 0, $"{wrong.Count} of {answers.Length}\n{string.Join('\n', wrong.Take(20))}");
    }

    /// <summary>The SA of each case, and whether it is in UDP.</summary>
    internal static IEnumerable<(SecurityAssociation Sa, bool InUdp)> Cases() => AllCases().Select(static c => (c.CreateSa(), c.InUdp));

    private static IEnumerable<Case> AllCases()
    {
        foreach (ushort family in new[] { AddressFamily.Inet, AddressFamily.Inet6 })
        {
            foreach (XfrmMode mode in new[] { XfrmMode.Tunnel, XfrmMode.Transport })
            {
                foreach (bool esn in new[] { false, true })
                {
                    foreach (Cipher cipher in Ciphers)
                    {
                        if (cipher.Aead is not null || !esn)
                        {
                            yield return new Case(cipher, Auths[1], mode, family, esn, InUdp: false);
                        }
                    }
                    foreach (Auth auth in Auths)
                    {
                        if (!esn)
                        {
                            yield return new Case(Array.Find(Ciphers, static c => c.Crypt == "cbc(aes)")!, auth, mode, family, esn, InUdp: false);
                        }
                        yield return new Case(null, auth, mode, family, esn, InUdp: false);
                    }
                }
                if (mode == XfrmMode.Tunnel || family == AddressFamily.Inet)   // in the other case scapy leaves the UDP header
                {
                    foreach (Cipher cipher in Ciphers)
                    {
                        yield return new Case(cipher, Auths[1], mode, family, Esn: false, InUdp: true);
                    }
                }
            }
        }
    }

    private void Send(Case each)
    {
        using Link link = new(() => [each.CreateSa()]);
        SecurityAssociation sa = link.SenderSas[0];
        (Cipher? cipher, Auth? auth, bool inUdp) = (each.Cipher, each.Cipher?.Aead is null ? each.Auth : null, each.InUdp);
        string name = cipher is null ? $"AH {each.Auth.Scapy}" : $"{cipher.Scapy}/{cipher.Key}/{cipher.Icv} {each.Auth.Scapy}";
        bool isIpv4 = sa.Family == AddressFamily.Inet, isTunnel = sa.Mode == XfrmMode.Tunnel;
        byte[] sent = isIpv4
            ? Packets.Udp4(61, tos: 0x28, saddr: isTunnel ? "10.1.0.1" : Sas.Left4, daddr: isTunnel ? "10.2.0.1" : Sas.Right4)
            : Packets.Udp6(61, 0x28, null, isTunnel ? "2001:db8:a::1" : Sas.Left6, isTunnel ? "2001:db8:b::1" : Sas.Right6);
        _expected.Add(($"{name} {sa.Mode} IPv{(isIpv4 ? 4 : 6)}{(sa.IsEsn ? " ESN" : "")}{(inUdp ? " UDP" : "")}", sent));
        _lines.Add(JsonSerializer.Serialize(new Dictionary<string, object?>
        {
            ["wire"] = Convert.ToHexStringLower(link.Send(sent)),
            ["udp"] = inUdp,
            ["proto"] = sa.Id.Proto,
            ["spi"] = sa.Id.Spi.Value,
            ["crypt"] = cipher?.Scapy,
            ["crypt_key"] = cipher is null ? "" : Hex(cipher.Key),
            ["icv"] = cipher?.Aead is null ? 0 : cipher.Icv,
            ["auth"] = auth?.Scapy,
            ["auth_key"] = auth is null ? "" : Hex(auth.Key),
            ["tunnel"] = isTunnel,
            ["saddr"] = isIpv4 ? Sas.Left4 : Sas.Left6,
            ["daddr"] = isIpv4 ? Sas.Right4 : Sas.Right6,
            ["esn"] = sa.IsEsn,
        }));
    }

    private static string Hex(int length) => Convert.ToHexStringLower(Sas.Key(length).Span);

    private string[] Ask()
    {
        using Process python = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-c", Script])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> errors = python.StandardError.ReadToEndAsync(), output = python.StandardOutput.ReadToEndAsync();
        foreach (string line in _lines)
        {
            python.StandardInput.WriteLine(line);
        }
        python.StandardInput.Close();
        python.WaitForExit();
        Assert.True(python.ExitCode == 0, "python3-scapy is needed: " + errors.Result);
        return output.Result.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}

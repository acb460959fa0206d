using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Xfrmd.Crypto;
using Xfrmd.Datapath.Tests.Oracle;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests;

/// <summary>
/// docs/compat.md says what proved each algorithm, in which mode, over which families and in which encapsulation. The table is put together from the
/// tests themselves: the packets that <see cref="OracleVectorTests"/> compares, the cases of <see cref="ScapyTests"/>, the table that
/// tests/Interop/AlgorithmTests.cs proves, and the cases of tests/kernel.
/// </summary>
public sealed partial class EvidenceTests
{
    private enum Proof
    {
        Packets,
        Scapy,
        Pair,
        Kernel,
    }

    private readonly Dictionary<(string Protocol, string Algorithm, string Mode), SortedSet<string>[]> _rows = [];

    [Fact]
    public void The_table_of_what_proved_each_algorithm_is_complete()
    {
        foreach (PacketVector vector in PacketVector.All.Value.Where(v => !v.IsBroken && !v.IsRefused && !v.IsPlain))
        {
            SecurityAssociation sa = vector.CreateSa();
            Add(Proof.Packets, sa, vector.InnerFamily, vector.OuterFamily, sa.Encap is not null);
        }
        foreach ((SecurityAssociation sa, bool inUdp) in ScapyTests.Cases())
        {
            Add(Proof.Scapy, sa, sa.Family, sa.Family, inUdp);
        }
        string page = File.ReadAllText(DocumentPath);
        foreach (Match row in PairRow().Matches(Between(page, "charon pairs")))
        {
            foreach (string mode in row.Groups["modes"].Value.Split(", "))
            {
                foreach (string families in row.Groups["families"].Value.Split(", "))
                {
                    foreach (string encapsulation in row.Groups["encapsulations"].Value.Split(", "))
                    {
                        Add(Proof.Pair, row.Groups["protocol"].Value, row.Groups["proposal"].Value, mode, families, encapsulation);
                    }
                }
            }
        }
        foreach (string[] line in File.ReadLines(Path.Combine(Repository.Root, "tests", "kernel", "algorithms")).Where(l => !l.StartsWith('#')).Select(l => l.Split(' ')))
        {
            string[] options = line[2].Split(';');
            string protocol = options[0].StartsWith("ah_", StringComparison.Ordinal) ? "AH" : options.Contains("ipcomp=yes") ? "ESP + IPComp" : "ESP";
            foreach (string kind in line[1].Split(','))
            {
                foreach (string mode in (string[])["tunnel", "transport"])
                {
                    Add(Proof.Kernel, protocol, options[0].Split('=')[1], mode, kind.StartsWith("six", StringComparison.Ordinal) ? "6in6" : "4in4", kind.EndsWith("udp", StringComparison.Ordinal) ? "UDP" : "raw");
                }
            }
        }
        StringBuilder table = new("\n\n| protocol | algorithm | mode | packets of Linux 6.12 | scapy | pair of charons | charon on Linux 6.12 |\n|---|---|---|---|---|---|---|\n");
        foreach (((string protocol, string algorithm, string mode), SortedSet<string>[] proofs) in _rows.OrderBy(r => r.Key, Comparer<(string, string, string)>.Create(Compare)))
        {
            table.AppendLine(CultureInfo.InvariantCulture, $"| {protocol} | {algorithm} | {mode} | {string.Join(" | ", proofs.Select(Cell))} |");
        }
        string written = Between(page, "evidence");
        Assert.True(written == table.ToString(), $"{DocumentPath} should say between its marks:\n{table}");
    }

    [Fact]
    public void Each_name_that_is_refused_is_told()
    {
        string[] refused =
        [
            .. AlgorithmCatalogue.Auth.ToArray().Where(a => !a.Available).Select(a => a.Name),
            .. AlgorithmCatalogue.Ciphers.ToArray().Where(c => !c.Available).Select(c => c.Name),
            .. AlgorithmCatalogue.Compression.ToArray().Where(c => !c.Available).Select(c => c.Name),
        ];
        string[] told = [.. RefusedRow().Matches(Between(File.ReadAllText(DocumentPath), "refused algorithms")).Select(m => m.Groups["name"].Value)];
        Assert.Equal(refused, told);
        Assert.All(told, name => Assert.True(AlgorithmCatalogue.FindAuth(name) is null && AlgorithmCatalogue.FindCipher(name) is null && AlgorithmCatalogue.FindCompression(name) is null));
    }

    private static string DocumentPath => Path.Combine(Repository.Root, "docs", "compat.md");

    private static string Between(string page, string name)
    {
        string begin = $"<!-- {name}: begin -->", end = $"<!-- {name}: end -->";
        int begins = page.IndexOf(begin, StringComparison.Ordinal), ends = page.IndexOf(end, StringComparison.Ordinal);
        Assert.True(begins >= 0 && ends > begins, $"{DocumentPath} has no part \"{name}\"");
        return page[(begins + begin.Length)..ends];
    }

    private static int Compare((string, string, string) one, (string, string, string) other) =>
        string.CompareOrdinal($"{one.Item1}\n{one.Item2}\n{one.Item3}", $"{other.Item1}\n{other.Item2}\n{other.Item3}");

    private static string Cell(SortedSet<string> combinations) => combinations.Count == 0
        ? "-"
        : string.Join("; ", combinations.GroupBy(c => c.Split(' ')[0], c => c.Split(' ')[1]).Select(g => g.Key == "raw" ? string.Join(' ', g) : $"{g.Key} {string.Join(' ', g)}"));

    private void Add(Proof proof, SecurityAssociation sa, ushort inner, ushort outer, bool inUdp)
    {
        string combination = $"{(inner == AddressFamily.Inet ? 4 : 6)}in{(outer == AddressFamily.Inet ? 4 : 6)}", encapsulation = inUdp ? "UDP" : "raw";
        string protocol = sa.Id.Proto switch { IpProtocol.Esp => "ESP", IpProtocol.Ah => "AH", _ => "IPComp" };
        List<string> algorithms = [];
        if (sa.Aead is { } aead)
        {
            algorithms.Add($"`{aead.Name}` {aead.KeyBits - SaltBits(aead.Name)}, ICV {aead.IcvBits}");
        }
        if (sa.Crypt is { } crypt)
        {
            algorithms.Add($"`{crypt.Name}` {crypt.KeyBits - SaltBits(crypt.Name)}");
        }
        if (sa.Auth is { } auth)
        {
            algorithms.Add($"`{auth.Name}` ICV {auth.TruncBits}");
        }
        if (sa.Comp is { } comp)
        {
            algorithms.Add($"`{comp.Name}`");
        }
        foreach (string algorithm in algorithms)
        {
            Row(protocol, algorithm, sa.Mode.ToString().ToLowerInvariant())[(int)proof].Add($"{encapsulation} {combination}");
        }
    }

    /// <summary>A proposal of charon's.</summary>
    private void Add(Proof proof, string protocol, string proposal, string mode, string families, string encapsulation)
    {
        foreach (string word in proposal.Split('-').Where(w => w is not ("esn" or "noesn")))
        {
            // With IPComp the algorithm of interest is that; ESP around it is in rows of its own, in transport mode.
            Row(protocol == "AH" ? "AH" : "ESP", Algorithm(word), protocol == "ESP + IPComp" ? "transport" : mode)[(int)proof].Add($"{encapsulation} {families}");
        }
        if (protocol == "ESP + IPComp")
        {
            Row("IPComp", "`deflate`", mode)[(int)proof].Add($"{encapsulation} {families}");
        }
    }

    private SortedSet<string>[] Row(string protocol, string algorithm, string mode)
    {
        if (!_rows.TryGetValue((protocol, algorithm, mode), out SortedSet<string>[]? row))
        {
            row = [.. Enum.GetValues<Proof>().Select(_ => new SortedSet<string>(Comparer<string>.Create(static (a, b) => -string.CompareOrdinal(a[..3], b[..3]) is var by && by != 0 ? by : string.CompareOrdinal(a, b))))];
            _rows.Add((protocol, algorithm, mode), row);
        }
        return row;
    }

    private static int SaltBits(string name) => name.StartsWith("rfc4309", StringComparison.Ordinal) ? 24 : name.StartsWith("rfc", StringComparison.Ordinal) ? 32 : 0;

    private static string Algorithm(string keyword)
    {
        Match match = Keyword().Match(keyword);
        Assert.True(match.Success, keyword);
        string bits = match.Groups["bits"].Value, icv = match.Groups["icv"].Value;
        int icvBits = icv.Length == 0 ? 128 : int.Parse(icv, CultureInfo.InvariantCulture) * 8;
        return (match.Groups["name"].Value, match.Groups["kind"].Value) switch
        {
            ("aes", "") => $"`cbc(aes)` {bits}",
            ("aes", "ctr") => $"`rfc3686(ctr(aes))` {bits}",
            ("aes", "gcm") => $"`rfc4106(gcm(aes))` {bits}, ICV {icvBits}",
            ("aes", "ccm") => $"`rfc4309(ccm(aes))` {bits}, ICV {icvBits}",
            ("aes", "gmac") => $"`rfc4543(gcm(aes))` {bits}, ICV 128",
            ("chacha20poly1305", _) => "`rfc7539esp(chacha20,poly1305)` 256, ICV 128",
            ("3des", _) => "`cbc(des3_ede)` 192",
            ("des", _) => "`cbc(des)` 64",
            ("null", _) => "`ecb(cipher_null)` 0",
            ("cast", _) => $"`cbc(cast5)` {bits}",
            ("camellia" or "blowfish" or "serpent" or "twofish", _) => $"`cbc({match.Groups["name"].Value})` {bits}",
            ("aesxcbc", _) => "`xcbc(aes)` ICV 96",
            ("aescmac", _) => "`cmac(aes)` ICV 96",
            ("md5", _) or ("sha1", _) => $"`hmac({match.Groups["name"].Value})` ICV {(bits.Length == 0 ? "96" : bits)}",
            ("sha", _) => $"`hmac(sha{bits})` ICV {(match.Groups["trunc"].Value is { Length: > 0 } trunc ? trunc : (int.Parse(bits, CultureInfo.InvariantCulture) / 2).ToString(CultureInfo.InvariantCulture))}",
            _ => throw new ArgumentException(keyword),
        };
    }

    [GeneratedRegex(@"^\| (?<protocol>[^|]+?) \| `(?<proposal>[^`]+)` \| (?<modes>[^|]+?) \| (?<families>[^|]+?) \| (?<encapsulations>[^|]+?) \|", RegexOptions.Multiline)]
    private static partial Regex PairRow();

    [GeneratedRegex(@"^\| `(?<name>[^`]+)` \|", RegexOptions.Multiline)]
    private static partial Regex RefusedRow();

    [GeneratedRegex(@"^(?<name>aesxcbc|aescmac|chacha20poly1305|aes|3des|des|null|cast|camellia|blowfish|serpent|twofish|md5|sha1|sha)_?(?<bits>\d*)(?<kind>ctr|gcm|ccm|gmac)?(?<icv>\d*)(_(?<trunc>\d+))?$")]
    private static partial Regex Keyword();
}

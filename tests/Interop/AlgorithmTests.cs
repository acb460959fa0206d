using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>
/// Every algorithm that charon has, by its own list, in proposals of ESP and AH; modes, families and encapsulations with those that everyone
/// uses. What passed is the table in docs/compat.md.
/// </summary>
[Collection(Alone.Name)]
public sealed partial class AlgorithmTests(ITestOutputHelper output) : Scenario(output)
{
    private const string TableBegins = "<!-- charon pairs: begin -->", TableEnds = "<!-- charon pairs: end -->";

    // Charon's names, and the keywords of proposals with the key sizes that Linux has. Nothing: its kernel interface has no ESP name for it.
    private static readonly Dictionary<string, string[]> Ciphers = new()
    {
        ["AES_CBC"] = ["aes128", "aes192", "aes256"],
        ["AES_CTR"] = ["aes128ctr", "aes192ctr", "aes256ctr"],
        ["3DES_CBC"] = ["3des"],
        ["DES_CBC"] = ["des"],
        ["CAMELLIA_CBC"] = ["camellia128", "camellia192", "camellia256"],
        ["BLOWFISH_CBC"] = ["blowfish128", "blowfish192", "blowfish256"],
        ["CAST_CBC"] = ["cast128"],
        ["SERPENT_CBC"] = ["serpent128", "serpent192", "serpent256"],
        ["TWOFISH_CBC"] = ["twofish128", "twofish192", "twofish256"],
        ["NULL"] = ["null"],
        ["CAMELLIA_CTR"] = [],
        ["DES_ECB"] = [],
        ["AES_ECB"] = [],
        ["AES_CFB"] = [],
        ["AES_GCM_8"] = ["aes128gcm8", "aes192gcm8", "aes256gcm8"],
        ["AES_GCM_12"] = ["aes128gcm12", "aes192gcm12", "aes256gcm12"],
        ["AES_GCM_16"] = ["aes128gcm16", "aes192gcm16", "aes256gcm16"],
        ["AES_CCM_8"] = ["aes128ccm8", "aes192ccm8", "aes256ccm8"],
        ["AES_CCM_12"] = ["aes128ccm12", "aes192ccm12", "aes256ccm12"],
        ["AES_CCM_16"] = ["aes128ccm16", "aes192ccm16", "aes256ccm16"],
        ["CAMELLIA_CCM_8"] = [],
        ["CAMELLIA_CCM_12"] = [],
        ["CAMELLIA_CCM_16"] = [],
        ["CHACHA20_POLY1305"] = ["chacha20poly1305"],
    };

    private static readonly Dictionary<string, string[]> Hashes = new()
    {
        ["HMAC_MD5_96"] = ["md5"],
        ["HMAC_MD5_128"] = ["md5_128"],
        ["HMAC_SHA1_96"] = ["sha1"],
        ["HMAC_SHA1_160"] = ["sha1_160"],
        ["HMAC_SHA1_128"] = [],
        ["HMAC_SHA2_256_96"] = ["sha256_96"],
        ["HMAC_SHA2_256_128"] = ["sha256"],
        ["HMAC_SHA2_256_256"] = [],
        ["HMAC_SHA2_384_192"] = ["sha384"],
        ["HMAC_SHA2_384_384"] = [],
        ["HMAC_SHA2_512_256"] = ["sha512"],
        ["HMAC_SHA2_512_512"] = [],
        ["AES_XCBC_96"] = ["aesxcbc"],
        ["CAMELLIA_XCBC_96"] = [],
        ["AES_CMAC_96"] = ["aescmac"],
    };

    // What ESP has and charon needs no plugin of its own for.
    private static readonly string[] KernelCiphers = ["null", "aes128gmac", "aes192gmac", "aes256gmac"], KernelHashes = ["sha256_96"];

    [Fact]
    public void Each_algorithm_of_charon_carries_traffic()
    {
        // Some transforms have private numbers, which charon takes from its own kind alone.
        using CharonPair pair = CharonPair.Create(options: "send_vendor_id = yes");
        Play(pair, () =>
        {
            Case[] cases = [.. CasesFor(pair.Left.Swanctl("--list-algs").OrFail().Output).DistinctBy(c => c.Name)];
            pair.Left.Load(Swanctl.File([.. cases.Select(c => c.Connection(left: true))]));
            pair.Right.Load(Swanctl.File([.. cases.Select(c => c.Connection(left: false))]));
            Wiretap tap = pair.Net.Watch();
            List<string> failures = [];
            foreach (Case each in cases)
            {
                CommandResult result = pair.Net.Left.Run(TimeSpan.FromSeconds(60), "/bin/sh", "-c",
                    $"swanctl --initiate --child {each.Name} --timeout 20 && ping -n -q -c 2 -i 0.05 -W 3 -s 700 -I {each.Source} {each.Destination} && swanctl --terminate --ike {each.Name} --timeout 10");
                if (result.ExitCode != 0)
                {
                    failures.Add($"{each.Name}: {result.Output}{result.Errors}{string.Join(' ', pair.LeftDaemon.Counters(pair.Net.Left))} / {string.Join(' ', pair.RightDaemon.Counters(pair.Net.Right))}");
                    pair.Left.TerminateAll();
                }
            }
            Assert.True(failures.Count == 0, $"{failures.Count} of {cases.Length} failed:\n{string.Join('\n', failures)}");
            tap.Stop().AssertNothingClear((Gateways.LeftNet, Gateways.RightNet), (Gateways.LeftNet6, Gateways.RightNet6));
            Assert.Empty(pair.LeftDaemon.Counters(pair.Net.Left));
            Assert.Empty(pair.RightDaemon.Counters(pair.Net.Right));
            AssertTable(cases);
        });
    }

    private static IEnumerable<Case> CasesFor(string list)
    {
        string[] ciphers = [.. Keywords(Section(list, "encryption"), Ciphers), .. KernelCiphers], aeads = [.. Keywords(Section(list, "aead"), Ciphers)],
            hashes = [.. Keywords(Section(list, "integrity"), Hashes).Union(KernelHashes)];
        Assert.Contains("aes128", ciphers);
        Assert.Contains("aes128gcm16", aeads);
        Assert.Contains("sha256", hashes);
        // GMAC is a cipher that needs no hash.
        string[] combined = [.. aeads, .. ciphers.Where(c => c.EndsWith("gmac", StringComparison.Ordinal))];
        string[] proposals = [.. combined, .. ciphers.Except(combined).Distinct().Select(c => c + "-sha256"), .. hashes.Select(h => "aes128-" + h)];
        foreach (string proposal in proposals)
        {
            yield return new Case("ESP", proposal, "tunnel", "4in4", "raw");
            yield return new Case("ESP", proposal + "-esn", "transport", "4in4", "raw");
        }
        foreach (string hash in hashes)
        {
            yield return new Case("AH", hash, "tunnel", "4in4", "raw");
            yield return new Case("AH", hash + "-esn", "transport", "4in4", "raw");
        }
        foreach (string families in new[] { "4in4", "6in4", "4in6", "6in6" })
        {
            foreach (string proposal in new[] { "aes128gcm16", "aes128-sha256", "chacha20poly1305" })
            {
                foreach (string encapsulation in new[] { "raw", "UDP" })
                {
                    yield return new Case("ESP", proposal, "tunnel", families, encapsulation);
                    yield return new Case("ESP", proposal, "beet", families, encapsulation);
                    if (families[0] == families[^1])
                    {
                        yield return new Case("ESP", proposal, "transport", families, encapsulation);
                    }
                }
            }
            yield return new Case("AH", "sha256", "tunnel", families, "raw");
            if (families[0] == families[^1])
            {
                yield return new Case("AH", "sha256", "transport", families, "raw");
                // Not across families: the SA that charon puts around has the outer family's selector, and Linux finds none for such a packet.
                yield return new Case("ESP + IPComp", "aes128gcm16", "tunnel", families, "raw");
                yield return new Case("ESP + IPComp", "aes128gcm16", "transport", families, "raw");
            }
        }
    }

    /// <summary>The names below a heading of <c>swanctl --list-algs</c>.</summary>
    private static IEnumerable<string> Section(string list, string heading) => list.Split('\n')
        .SkipWhile(line => line != heading + ":").Skip(1).TakeWhile(line => line.StartsWith(' ')).Select(line => line.Trim().Split('[')[0]);

    private static IEnumerable<string> Keywords(IEnumerable<string> names, Dictionary<string, string[]> keywords) => names.SelectMany(name =>
        keywords.TryGetValue(name, out string[]? found) || NotForEsp().IsMatch(name) ? found ?? [] : throw new InteropException($"charon has {name}, which this test does not know"));

    private static void AssertTable(IReadOnlyList<Case> cases)
    {
        StringBuilder table = new("\n\n| protocol | proposal | mode | inner in outer | encapsulation |\n|---|---|---|---|---|\n");
        foreach (IGrouping<(string, string), Case> row in cases.GroupBy(c => (c.Protocol, c.Proposal)).OrderBy(g => g.Key.Protocol, StringComparer.Ordinal).ThenBy(g => g.Key.Proposal, StringComparer.Ordinal))
        {
            foreach (IGrouping<string, Case> same in row.GroupBy(c => c.Mode).GroupBy(g => Combinations(g), g => g.Key).SelectMany(g => row.Where(c => g.Contains(c.Mode)).GroupBy(_ => string.Join(", ", g))))
            {
                table.AppendLine(CultureInfo.InvariantCulture,
                    $"| {row.Key.Item1} | `{row.Key.Item2}` | {same.Key} | {string.Join(", ", same.Select(c => c.Families).Distinct())} | {string.Join(", ", same.Select(c => c.Encapsulation).Distinct())} |");
            }
        }
        string path = Path.Combine(Repository.Root, "docs", "compat.md"), page = File.ReadAllText(path);
        int begins = page.IndexOf(TableBegins, StringComparison.Ordinal), ends = page.IndexOf(TableEnds, StringComparison.Ordinal);
        Assert.True(begins >= 0 && ends > begins, $"{path} has no table of charon pairs");
        string written = page[(begins + TableBegins.Length)..ends];
        Assert.True(written == table.ToString(), $"{path} should say between its marks:\n{table}");
    }

    private static string Combinations(IEnumerable<Case> cases) => string.Join(' ', cases.Select(c => c.Families + c.Encapsulation));

    [GeneratedRegex("^(RC2|RC5|IDEA|AES_ECB|AES_CFB|DES_ECB|DES_IV|CAMELLIA_)")]
    private static partial Regex NotForEsp();

    /// <summary>One thing to try, as a connection of its own: of several children with the same selectors the responder takes the first.</summary>
    private sealed record Case(string Protocol, string Proposal, string Mode, string Families, string Encapsulation)
    {
        public string Name => Regex.Replace($"{Protocol}-{Proposal}-{Mode}-{Families}-{Encapsulation}", "[^A-Za-z0-9]+", "-");

        public string Source => Inner(left: true);

        public string Destination => Inner(left: false);

        public string Connection(bool left)
        {
            string proposals = Protocol == "AH" ? "ah_proposals" : "esp_proposals", comp = Protocol == "ESP + IPComp" ? ";ipcomp = yes" : string.Empty;
            string options = $"mode = {Mode};{proposals} = {Proposal}{comp}";
            string child = Mode == "transport" ? Swanctl.Child(Name, string.Empty, string.Empty, options) : Swanctl.Child(Name, Inner(left), Inner(!left), options);
            return Swanctl.Connection(Name, Outer(left), Outer(!left), $"proposals = aes128-sha256-curve25519;encap = {(Encapsulation == "UDP" ? "yes" : "no")}", child)
                .Replace("local {\n      auth = psk", $"local {{\n      auth = psk\n      id = {Name}.{left}", StringComparison.Ordinal)
                .Replace("remote {\n      auth = psk", $"remote {{\n      auth = psk\n      id = {Name}.{!left}", StringComparison.Ordinal);
        }

        private string Outer(bool left) => (Families[^1], left) switch
        {
            ('4', true) => Gateways.LeftAddress,
            ('4', false) => Gateways.RightAddress,
            (_, true) => Gateways.LeftAddress6,
            _ => Gateways.RightAddress6,
        };

        private string Inner(bool left) => Mode == "transport" ? Outer(left) : (Families[0], left) switch
        {
            ('4', true) => Gateways.LeftLan,
            ('4', false) => Gateways.RightLan,
            (_, true) => Gateways.LeftLan6,
            _ => Gateways.RightLan6,
        };
    }
}

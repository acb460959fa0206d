using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Xfrmd.Architecture;

/// <summary>The arrows of docs/architecture.md: a project references what this table allows and nothing else.</summary>
public sealed class ReferenceTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Linux"] = [],
        ["Wire"] = [],
        ["Crypto"] = [],
        ["Kernel"] = ["Crypto"],
        ["Netlink"] = ["Kernel"],
        ["PfKey"] = ["Kernel"],
        ["Datapath"] = ["Kernel", "Crypto", "Wire", "Linux"],
        ["Attach"] = ["Kernel", "Linux"],
        ["Cli"] = ["Attach", "Crypto", "Datapath", "Kernel", "Linux", "Netlink", "PfKey", "Wire"],
    };

    public static TheoryData<string> Projects => [.. Allowed.Keys];

    [Theory, MemberData(nameof(Projects))]
    public void A_project_references_only_what_the_design_allows(string project)
    {
        XDocument document = XDocument.Load(Path.Combine(Repository.Root, "src", project, project + ".csproj"));
        var references = document.Descendants("ProjectReference").Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value));
        Assert.Empty(references.Except(Allowed[project]));
    }

    [Fact]
    public void Every_source_project_stands_in_the_table()
    {
        var present = Directory.GetDirectories(Path.Combine(Repository.Root, "src")).Select(Path.GetFileName);
        Assert.Equal(Allowed.Keys.Order(), present.Order()!);
    }

    [Theory, MemberData(nameof(Projects))]
    public void Native_calls_and_unsafe_code_stay_where_they_belong(string project)
    {
        // The exceptions beside Linux: the system's libcrypto and libIPSec_MB, called from Crypto (docs/adr/0001-libcrypto.md, 0003-libipsec-mb.md).
        var offenders = Directory.EnumerateFiles(Path.Combine(Repository.Root, "src", project), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains("/obj/", StringComparison.Ordinal) && project != "Linux" && !Regex.IsMatch(f, "/Crypto/(OpenSsl|IpsecMb)/"))
            .Where(f => Regex.IsMatch(File.ReadAllText(f), @"\[(LibraryImport|DllImport)\b|\bunsafe\b"))
            .ToArray();
        Assert.Empty(offenders);
    }
}

using System.Text.RegularExpressions;

namespace Xfrmd.Replay;

/// <summary>The recordings that docs/compat.md says are answered otherwise on purpose.</summary>
public static partial class CompatList
{
    public static IReadOnlySet<string> Read() =>
        Row().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", "compat.md"))).Select(m => m.Groups["name"].Value).ToHashSet();

    [GeneratedRegex(@"^\| `(?<name>[^`]+)` \| \S", RegexOptions.Multiline)]
    private static partial Regex Row();
}

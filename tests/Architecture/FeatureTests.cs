using System.IO.Compression;
using System.Text.RegularExpressions;

namespace Xfrmd.Architecture;

/// <summary>docs/features.md: what it says that does a feature, and that proves it, is there.</summary>
public sealed partial class FeatureTests
{
    private static readonly string Tests = Path.Combine(Repository.Root, "tests"), Source = Path.Combine(Repository.Root, "src");
    private static readonly Lazy<string> Scenarios = new(() => File.ReadAllText(Path.Combine(Tests, "kernel", "scenarios.py")));
    private static readonly Lazy<string> Recorded = new(() => Unpack("nl.in.jsonl.gz") + Unpack("pk.in.jsonl.gz"));

    [Fact]
    public void Each_file_test_recording_and_theme_that_is_named_is_there()
    {
        string[] rows = [.. File.ReadLines(Path.Combine(Repository.Root, "docs", "features.md")).Where(line => line.StartsWith("| ", StringComparison.Ordinal))];
        Assert.InRange(rows.Length, 100, 1000);
        Dictionary<string, string> files = new(StringComparer.Ordinal);
        foreach (string folder in (string[])[Source, Tests])
        {
            foreach (string file in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories))
            {
                files.TryAdd(Path.GetFileName(file), file);
            }
        }
        string[] missing = [.. rows.SelectMany(row => Names().Matches(row)).Select(match => match.Groups[1].Value).Distinct().Where(name => !IsThere(name, files))];
        Assert.True(missing.Length == 0, string.Join(", ", missing));
    }

    private static bool IsThere(string name, Dictionary<string, string> files)
    {
        if (name.EndsWith(".cs", StringComparison.Ordinal))
        {
            return files.ContainsKey(name);
        }
        if (name.Contains('/', StringComparison.Ordinal))
        {
            return Recorded.Value.Contains($"\"name\": \"{name}", StringComparison.Ordinal);
        }
        string[] parts = name.Split('.');
        return files.TryGetValue(parts[0] + ".cs", out string? file)
            ? parts.Length == 1 || File.ReadAllText(file).Contains($" {parts[1]}(", StringComparison.Ordinal)
            : Scenarios.Value.Contains($"    def {name}(self", StringComparison.Ordinal);
    }

    private static string Unpack(string name)
    {
        using GZipStream stream = new(File.OpenRead(Path.Combine(Repository.Oracle, name)), CompressionMode.Decompress);
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Names();
}

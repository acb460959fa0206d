using System.IO.Compression;
using System.Text.Json;

namespace Xfrmd.Replay;

/// <summary>The recordings of a real kernel.</summary>
public static class Recordings
{
    /// <summary>All scenarios of <c>NAME.jsonl.gz</c>, by name.</summary>
    public static IReadOnlyDictionary<string, JsonElement> Read(string name) =>
        ReadLines(name).ToDictionary(scenario => scenario.GetProperty("name").GetString()!);

    /// <summary>All lines of <c>NAME.jsonl.gz</c> in their order.</summary>
    public static IEnumerable<JsonElement> ReadLines(string name) => ReadFile(Path.Combine(Repository.Oracle, name + ".jsonl.gz"));

    /// <summary>All lines of a compressed file in their order.</summary>
    public static IEnumerable<JsonElement> ReadFile(string path)
    {
        using FileStream compressed = File.OpenRead(path);
        using GZipStream lines = new(compressed, CompressionMode.Decompress);
        using StreamReader reader = new(lines);
        while (reader.ReadLine() is { } line)
        {
            yield return JsonDocument.Parse(line).RootElement;
        }
    }
}

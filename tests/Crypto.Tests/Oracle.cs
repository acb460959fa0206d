using System.IO.Compression;
using System.Text.Json;

namespace Xfrmd.Crypto.Tests;

/// <summary>The packets of a real kernel: esp-vectors.jsonl.gz, whose README describes the fields.</summary>
internal static class Oracle
{
    private static readonly Lazy<PacketVector[]> All = new(Read);

    public static IEnumerable<PacketVector> Packets(int protocol) => All.Value.Where(v => v.Protocol == protocol);

    private static PacketVector[] Read()
    {
        using var gzip = new GZipStream(File.OpenRead(Path.Combine(Repository.Oracle, "esp-vectors.jsonl.gz")), CompressionMode.Decompress);
        using var reader = new StreamReader(gzip);
        var vectors = new List<PacketVector>();
        while (reader.ReadLine() is { } line)
        {
            vectors.Add(new PacketVector(JsonDocument.Parse(line).RootElement));
        }

        return [.. vectors];
    }
}

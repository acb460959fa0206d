using System.IO.Compression;
using System.Text.Json;

namespace Xfrmd.Datapath.Tests.Oracle;

/// <summary>The recordings of a real kernel, ../shared/oracle beside the repository.</summary>
internal static class OracleFiles
{
    /// <summary>The lines of a gzipped file of JSON lines.</summary>
    public static List<JsonElement> Read(string name)
    {
        using var gzip = new GZipStream(File.OpenRead(Path.Combine(Repository.Oracle, name)), CompressionMode.Decompress);
        using var reader = new StreamReader(gzip);
        List<JsonElement> lines = [];
        while (reader.ReadLine() is { } line)
        {
            lines.Add(JsonDocument.Parse(line).RootElement);
        }
        return lines;
    }

    public static byte[] Hex(JsonElement element, string name) => Convert.FromHexString(element.GetProperty(name).GetString()!);
}

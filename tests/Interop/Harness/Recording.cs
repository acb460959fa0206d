using System.IO.Compression;

namespace Xfrmd.Interop.Harness;

/// <summary>Programs that ask the same of Linux and of xfrmd, and what a Linux answered, in tests/Interop/Programs.</summary>
internal static class Recording
{
    /// <summary>The path of a file there.</summary>
    public static string PathOf(string name) => Path.Combine(Repository.Root, "tests", "Interop", "Programs", name);

    /// <summary>The lines of a file that was compressed by gzip.</summary>
    public static string[] Read(string name)
    {
        using GZipStream file = new(File.OpenRead(PathOf(name)), CompressionMode.Decompress);
        using StreamReader reader = new(file);
        return Lines(reader.ReadToEnd());
    }

    public static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

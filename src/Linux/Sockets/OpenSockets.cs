using System.Globalization;
using Xfrmd.Linux.Process;

namespace Xfrmd.Linux.Sockets;

/// <summary>Which sockets some other process still has open, by the number in <c>socket:[N]</c>: a look through the descriptors of all of them.</summary>
public static class OpenSockets
{
    /// <summary>Those of <paramref name="inodes"/> that are found.</summary>
    public static HashSet<ulong> Among(IReadOnlyCollection<ulong> inodes)
    {
        HashSet<ulong> missing = [.. inodes], found = [];
        // Programs that were started last are the likeliest.
        foreach (int process in Numbers("/proc").Where(static p => p != Environment.ProcessId).OrderDescending())
        {
            string folder = string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/fd");
            foreach (int descriptor in Numbers(folder))
            {
                ulong inode = ProcFile.ReadInode(string.Create(CultureInfo.InvariantCulture, $"{folder}/{descriptor}"), "socket"u8, out _);
                if (inode != 0 && missing.Remove(inode))
                {
                    found.Add(inode);
                    if (missing.Count == 0)
                    {
                        return found;
                    }
                }
            }
        }
        return found;
    }

    // What goes while it is looked at is not there.
    private static List<int> Numbers(string folder)
    {
        List<int> numbers = [];
        try
        {
            foreach (string path in Directory.EnumerateFileSystemEntries(folder))
            {
                if (int.TryParse(Path.GetFileName(path.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
                {
                    numbers.Add(number);
                }
            }
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
        }
        return numbers;
    }
}

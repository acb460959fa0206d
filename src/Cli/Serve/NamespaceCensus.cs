using System.Globalization;

namespace Xfrmd.Cli.Serve;

/// <summary>
/// Which network namespaces still exist for anybody but us. Our own handles and sockets keep a namespace alive for the kernel, so its end
/// has to be seen from outside: no process lives in it and it is mounted nowhere (<c>ip netns</c>), in no process's view of the file system.
/// </summary>
internal static class NamespaceCensus
{
    /// <summary>The numbers of all that live. A namespace held open only by a descriptor of some process is not seen.</summary>
    public static HashSet<ulong> Take()
    {
        HashSet<ulong> living = [];
        HashSet<string> views = [];
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!char.IsAsciiDigit(directory["/proc/".Length]))
            {
                continue;
            }
            if (NumberOf(directory + "/ns/net") is { } inode)
            {
                living.Add(inode);
            }
            // Under `ip netns exec`, and in containers, a mount is seen by those within alone.
            if (LinkTarget(directory + "/ns/mnt") is { } view && views.Add(view))
            {
                AddMounted(living, directory + "/mountinfo");
            }
        }
        return living;
    }

    /// <summary>The number of the namespace that a link in /proc leads to; null where it cannot be read.</summary>
    public static ulong? NumberOf(string link) => Parse(LinkTarget(link));

    // 1069 24 0:4 net:[4026532177] /run/netns/left rw shared:5 - nsfs nsfs rw
    private static void AddMounted(HashSet<ulong> living, string path)
    {
        try
        {
            foreach (string line in File.ReadLines(path))
            {
                if (line.Contains(" - nsfs ", StringComparison.Ordinal) && Parse(line.Split(' ')[3]) is { } inode)
                {
                    living.Add(inode);
                }
            }
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            // Gone, or a mount namespace that we may not see: then only processes count there.
        }
    }

    private static string? LinkTarget(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static ulong? Parse(string? text) =>
        text is ['n', 'e', 't', ':', '[', .. var number, ']'] && ulong.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out ulong inode) ? inode : null;
}

using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Sockets;

/// <summary>A socket that is opened only to see what comes of it.</summary>
public static class ProbeSocket
{
    /// <summary>The descriptor's number that a new raw socket gets, or minus the errno. It is closed again.</summary>
    public static int NumberOf(int domain, int protocol)
    {
        int fd = socket(domain, SOCK_RAW | SOCK_CLOEXEC, protocol);
        if (fd < 0)
        {
            return -Libc.LastErrno;
        }
        _ = close(fd);
        return fd;
    }
}

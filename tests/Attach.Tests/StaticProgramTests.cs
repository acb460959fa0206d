using System.Diagnostics;

namespace Xfrmd.Attach.Tests;

/// <summary>A program without a dynamic loader: raw system calls, threads and signals.</summary>
public sealed class StaticProgramTests : DaemonFixture
{
    private const string Source = """
        #include <errno.h>
        #include <linux/netlink.h>
        #include <pthread.h>
        #include <signal.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/socket.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <unistd.h>
        static volatile int ticks;
        static void tick(int n) { ticks++; }
        static void *work(void *arg)
        {
            long fd = syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
            if (fd < 0) return "socket";
            for (int i = 0; i < 300; i++) {
                char out[64], in[64]; struct sockaddr_nl from; socklen_t len = sizeof from;
                struct sockaddr_nl to = { .nl_family = AF_NETLINK };
                int n = snprintf(out, sizeof out, "THREAD %ld %d", (long)arg, i);
                if (sendto(fd, out, n, 0, (struct sockaddr *)&to, sizeof to) != n) return strerror(errno);
                memset(&from, 0xee, sizeof from);
                if (recvfrom(fd, in, sizeof in, MSG_DONTWAIT, (struct sockaddr *)&from, &len) != n) return strerror(errno);
                if (memcmp(in, out, n) || len != 12 || from.nl_family != AF_NETLINK || from.nl_pid || from.nl_groups) return "wrong answer";
            }
            return NULL;
        }
        int main(void)
        {
            struct sigaction sa = { .sa_handler = tick, .sa_flags = SA_RESTART };
            struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
            pthread_t t[4]; int bad = 0;
            sigaction(SIGALRM, &sa, NULL);
            setitimer(ITIMER_REAL, &every, NULL);
            for (long i = 0; i < 4; i++) pthread_create(&t[i], NULL, work, (void *)i);
            for (int i = 0; i < 4; i++) { void *r; pthread_join(t[i], &r); if (r) { puts(r); bad = 1; } }
            puts(ticks ? "ticks" : "no ticks");
            return bad;
        }
        """;

    [Fact]
    public void It_works_with_threads_under_a_storm_of_signals_and_each_request_is_taken_once()
    {
        using TestFolder folder = new();
        string source = folder["client.c"], program = folder["client"];
        File.WriteAllText(source, Source);
        using (Process gcc = Process.Start("gcc", ["-static", "-pthread", "-o", program, source]))
        {
            gcc.WaitForExit();
            Assert.Equal(0, gcc.ExitCode);
        }
        Client.Result result = Client.Run(Daemon.Path, program);
        Assert.Equal(("ticks\n", 0), (result.Output, result.ExitCode));
        Assert.Equal(1200, Daemon.Journal.Lines.Count(l => l.Contains("THREAD", StringComparison.Ordinal)));
    }
}

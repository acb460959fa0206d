using Xfrmd.Kernel;

namespace Xfrmd.Attach.Tests;

/// <summary>/proc/net/xfrm_stat and /proc/sys/net/core/xfrm_* show the state of the program's namespace as we have it.</summary>
public sealed class FileTests : DaemonFixture
{
    private XfrmNamespace Space
    {
        get
        {
            Python("nl()");
            return Assert.Single(Daemon.Namespaces.All);
        }
    }

    [Fact]
    public void The_statistics_are_ours_by_every_path_that_leads_there()
    {
        Space.Statistics.Add(XfrmCounter.InNoStates, 4711);
        string text = Space.Statistics.ToProcText();
        Assert.Equal(text, Shell("cat /proc/net/xfrm_stat").Output);
        Assert.Equal(text, Shell("cd /proc/self/net; cat ./xfrm_stat").Output);
        Assert.Equal(text, Shell("cd /proc/net; exec python3 -c 'print(open(\"//proc/self/../thread-self/net/xfrm_stat\").read(), end=\"\")'").Output);
        Assert.Equal("XfrmInNoStates          \t4711\n", Shell("grep InNoStates < /proc/$$/net/xfrm_stat").Output);
        Assert.Equal("no\n", Shell("echo > /proc/net/xfrm_stat || echo no").Output);
    }

    [Fact]
    public void A_value_written_is_there_for_the_very_next_request()
    {
        Space.Sysctls.AcqExpires = 30;
        Python("""
            s = nl()
            def asked(): s.send(b'acq'); return s.recv(9)
            P = '/proc/sys/net/core/xfrm_acq_expires'
            assert open(P).read() == '30\n' and asked() == b'30'
            for v in range(31, 131):
                with open(P, 'w') as f: f.write('%d\n' % v)
                assert asked() == b'%d' % v and open(P).read() == '%d\n' % v
            fd = ctypes.CDLL(None).creat(P.encode(), 0o644); os.write(fd, b'164'); os.close(fd); assert asked() == b'164'
            d = os.open('/proc/sys/net/core', os.O_RDONLY); assert os.read(os.open('xfrm_acq_expires', os.O_RDONLY, dir_fd=d), 9) == b'164\n'
            fd = os.open(P, os.O_WRONLY); os.dup2(fd, 1, True); os.close(fd); os.write(1, b'165\n'); assert asked() == b'165'
            os.write(1, b'166\n'); assert open(P).read() == '166\n'
            fd = os.open(P, os.O_RDWR); assert os.read(fd, 99) == b'166\n' and os.read(fd, 99) == b''; fails(errno.EINVAL, os.write, fd, b'rubbish')
            os.write(fd, b' 77 \n'); assert asked() == b'77'
            if os.fork() == 0:
                os.setuid(65534); ctypes.CDLL(None).prctl(8, 0); fails(errno.EACCES, os.open, P, os.O_WRONLY); os.close(os.open(P, 0)); os._exit(0)
            assert os.wait()[1] == 0
            """);
        Assert.Equal(77u, Space.Sysctls.AcqExpires);
    }

    /// <summary>What Linux answered to the same writes: <c>proc_dointvec</c>, and <c>proc_douintvec</c> for the AEVENT values.</summary>
    [Fact]
    public void Numbers_are_read_as_Linux_reads_them() => Python("""
        def write(name, text):
            P = '/proc/sys/net/core/xfrm_' + name
            with open(P, 'w') as f: f.write('5')
            fd = os.open(P, os.O_WRONLY); e = 0
            try: os.write(fd, text)
            except OSError as x: e = x.errno
            os.close(fd)
            return e, open(P).read()
        for text, signed, unsigned in [(b'\n', None, None), (b' ', None, None), (b'0x10', 16, 16), (b'0X1f\n', 31, 31), (b'010', 8, 8), (b'08', None, None), (b'0', 0, 0), (b'0x', None, None),
                                       (b'6 7', 6, 6), (b'5x', None, None), (b'-1', -1, None), (b'-0x10', -16, None), (b'-2147483648', -2147483648, None), (b'-2147483649', None, None),
                                       (b'2147483647', 2147483647, 2147483647), (b'2147483648', None, 2147483648), (b'4294967295', None, 4294967295), (b'4294967296', None, None), (b'+6', None, None),
                                       (b'  7', 7, 7), (b'7\0', None, None), (b'99999999999999999999', None, None), (b'1 x', 1, 1), (b'-', None, None), (b'00000000000000000017', 15, 15), (b'000000000000000000017', None, None)]:
            for name, value in (('acq_expires', signed), ('larval_drop', signed), ('aevent_etime', unsigned), ('aevent_rseqth', unsigned)):
                expected = (errno.EINVAL, '5\n') if value is None else (0, '%d\n' % value)
                assert write(name, text) == expected, (name, text, write(name, text))
        """);

    [Fact]
    public void They_are_no_directories_and_not_to_be_made() => Python("""
        P = '/proc/sys/net/core/xfrm_larval_drop'
        fails(errno.ENOTDIR, os.open, P, os.O_RDONLY | os.O_DIRECTORY)
        fails(errno.EEXIST, os.open, P, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.close(os.open(P, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        """);

    [Fact]
    public void A_shell_and_sysctl_write_the_other_values()
    {
        XfrmNamespace space = Space;
        Assert.Equal("0\n", Shell("sysctl -q -w net.core.xfrm_larval_drop=0; sysctl -n net.core.xfrm_larval_drop").Output);
        Assert.Equal("7 9\n", Shell("cd /proc/sys/net/core; echo 7 > xfrm_aevent_etime; echo 9 > xfrm_aevent_rseqth; echo $(cat xfrm_aevent_*)").Output);
        Assert.Equal((0, 7u, 9u), (space.Sysctls.LarvalDrop, space.Sysctls.AeventEtime, space.Sysctls.AeventRseqth));
    }

    [Fact]
    public void Where_the_kernel_hides_the_files_they_can_be_seen_all_the_same() => Assert.Equal("644 /proc/sys/net/core/xfrm_acq_expires\n30\nr\n", Client.Finish(
        Client.StartPlain(
            Daemon.Path, "unshare", "-Urn", PublishedProgram.Path, "run", "--", "sh", "-c",
            "f=/proc/sys/net/core/xfrm_acq_expires; stat -c '%a %n' $f; cat $f; test -r $f && test -f $f && echo r")).Output);
}
